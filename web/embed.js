// Searches a petsearch server from a page of another site: one script tag, see docs/using.md.
(() => {
  const script = document.currentScript;
  const { key, link, limit = "12", query = "", words = "{}" } = script.dataset;
  const FILTERS = ["species", "breed", "status", "tag", "near"];
  const said = {
    query: "What does the photo show?",
    search: "Search",
    searching: "Searching …",
    shown: "Photos shown",
    none: "No photo was found.",
    noMatch: "No photo matches well. These are the closest.",
    more: "Show more",
    unsure: "Breed unsure",
    predicted: "predicted",
    busy: "There are too many searches. Try again in a minute.",
    failed: "The search does not answer. Try again later.",
    ...JSON.parse(words),
  };
  const STYLE = `
    :host { display: block; box-sizing: border-box; width: 100%; width: -moz-available; width: -webkit-fill-available; color-scheme: light dark; font: inherit; }
    form, li { display: flex; gap: .5rem; }
    input, button { font: inherit; padding: .5em .8em; border: 1px solid currentColor; border-radius: .4em; }
    input { flex: 1; min-width: 0; background: Field; color: FieldText; }
    button { background: var(--petsearch-accent, #8a3f14); border-color: transparent; color: var(--petsearch-on-accent, #fff); cursor: pointer; }
    :focus-visible { outline: 3px solid var(--petsearch-accent, #b5622f); outline-offset: 2px; }
    p { margin: .75rem 0; }
    ul { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(9rem, 44%), 1fr)); gap: 1rem; margin: 0; padding: 0; }
    li { flex-direction: column; gap: .25rem; min-width: 0; overflow-wrap: anywhere; }
    img { width: 100%; height: auto; aspect-ratio: 1; object-fit: cover; border-radius: .4em; background: #8883; }
    a { color: inherit; text-decoration: none; }
    a span { text-decoration: underline; text-underline-offset: 3px; }
    span, small { display: block; text-align: -webkit-match-parent; text-align: match-parent; }
    span:dir(ltr)::first-letter { text-transform: uppercase; }
    .more { margin-top: 1rem; }
    [hidden] { display: none; }`;

  const make = (tag, properties, ...children) => {
    const made = Object.assign(document.createElement(tag), properties);
    made.append(...children);
    return made;
  };
  const box = make("input", { type: "search", name: "q", value: query, maxLength: 1000, placeholder: said.query, ariaLabel: said.query });
  const note = make("p", { role: "status" });
  const list = make("ul", {});
  const more = make("button", { type: "button", className: "more", textContent: said.more, hidden: true });
  let asked = null;

  const request = async (address, signal) => {
    const headers = key ? { Authorization: `Bearer ${key}` } : {};
    const answer = await fetch(new URL(address, script.src), { headers, signal, credentials: "omit" });
    if (!answer.ok) throw Object.assign(new Error(answer.status === 429 ? said.busy : said.failed), { status: answer.status });
    return answer;
  };

  // A picture takes the key too, which only a request of a script can send.
  const showPicture = async (image, address, signal) => {
    if (!key) {
      image.src = new URL(address, script.src);
      return;
    }
    const blob = await (await request(address, signal)).blob();
    image.src = URL.createObjectURL(blob);
    image.onload = () => URL.revokeObjectURL(image.src);
  };

  // What nobody stated, and the model is not sure of, names no photo.
  const nameOf = ({ breed, breed_source: source, species, species_source: ofSpecies }) => {
    if (breed && source !== "unsure") return source === "predicted" ? `${breed} (${said.predicted})` : breed;
    return species && ofSpecies !== "unsure" ? species : said.unsure;
  };

  const addressOf = (hit) => {
    if (link) return link.replace(/\{(\w+)\}/g, (_, name) => encodeURIComponent(hit[name] ?? ""));
    return key ? null : new URL(`./?photo=${hit.image_id}`, script.src);
  };

  const card = (hit, signal) => {
    const name = nameOf(hit);
    const image = make("img", { alt: name, loading: "lazy", width: 320, height: 320 });
    showPicture(image, hit.urls.thumbnail, signal).catch(() => undefined);
    const href = addressOf(hit);
    const shown = [image, make("span", { dir: "auto", textContent: name }), ...(hit.status ? [make("small", { textContent: hit.status })] : [])];
    return make("li", {}, ...(href ? [make("a", { href, target: "_blank", rel: "noopener" }, ...shown)] : shown));
  };

  // A cursor goes with the words that it came for, not with what stands in the box by then.
  const search = async (q, cursor = "") => {
    asked?.abort();
    asked = new AbortController();
    const { signal } = asked;
    const filters = FILTERS.filter((name) => script.dataset[name]).map((name) => [name, script.dataset[name]]);
    const parameters = new URLSearchParams([["q", q], ["limit", limit], ...filters, ...(cursor ? [["cursor", cursor]] : [])]);
    note.textContent = said.searching;
    more.hidden = true;
    if (!cursor) list.replaceChildren();
    try {
      const { items, next_cursor: next, no_good_match: isBad } = await (await request(`v1/search?${parameters}`, signal)).json();
      list.append(...items.map((hit) => card(hit, signal)));
      note.textContent = !list.childElementCount ? said.none : isBad ? said.noMatch : `${said.shown}: ${list.childElementCount}`;
      more.hidden = !next;
      more.onclick = () => search(q, next);
    } catch (error) {
      if (signal.aborted) return undefined;
      if (cursor && error.status === 409) return search(q); // The model changed: the list begins anew.
      more.hidden = !cursor;
      note.textContent = error instanceof TypeError ? said.failed : error.message;
    }
    return undefined;
  };

  const form = make("form", { role: "search" }, box, make("button", { type: "submit", textContent: said.search }));
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    if (box.value.trim()) search(box.value);
  });
  const host = make("div", {});
  const root = host.attachShadow({ mode: "open" });
  const style = new CSSStyleSheet();
  style.replaceSync(STYLE);
  root.adoptedStyleSheets = [style];
  root.append(form, note, list, more);
  // Where the script stands; nothing in the head is seen.
  const place = () => (document.body.contains(script) ? script.after(host) : document.body.append(host));
  if (document.body) place();
  else addEventListener("DOMContentLoaded", place, { once: true });
  if (query) search(query);
})();
