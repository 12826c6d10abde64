// The grid of results: cards, skeletons, and messages in their place.
import { byId, element } from "./dom.js";
import { strings } from "./strings.js";

const SKELETONS = 12;
const THUMBNAIL_SIDE = 320;

export function showSkeletons() {
  byId("message").hidden = true;
  byId("status").textContent = strings.searching;
  const grid = byId("results");
  grid.setAttribute("aria-busy", "true");
  grid.replaceChildren(
    ...Array.from({ length: SKELETONS }, () =>
      element(
        "li",
        { className: "card skeleton", ariaHidden: "true" },
        element("div", { className: "open" }),
        element("div", { className: "facts" }),
      ),
    ),
  );
}

export function showItems(items, actions) {
  byId("message").hidden = true;
  byId("status").textContent = strings.found(items.length);
  const best = Math.max(...items.map((item) => item.score ?? 0), 0.001);
  const grid = byId("results");
  grid.removeAttribute("aria-busy");
  grid.replaceChildren(...items.map((item) => card(item, best, actions)));
}

export function showMessage(title, text, ...buttons) {
  const grid = byId("results");
  grid.removeAttribute("aria-busy");
  grid.replaceChildren();
  byId("status").textContent = `${title}. ${text}`;
  const message = byId("message");
  message.replaceChildren(element("h2", {}, title), element("p", {}, text), ...buttons);
  message.hidden = false;
}

// Arrow keys walk the grid as it is laid out at the moment.
export function walkWithArrows(event) {
  const cards = [...byId("results").querySelectorAll("button.open")];
  const here = cards.indexOf(document.activeElement);
  if (here < 0) return;
  const top = cards[0].getBoundingClientRect().top;
  const columns = cards.filter((one) => one.getBoundingClientRect().top === top).length;
  const steps = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: columns, ArrowUp: -columns };
  const target = cards[here + (steps[event.key] ?? 0)];
  if (event.key in steps && target) {
    event.preventDefault();
    target.focus();
  }
}

function card(item, best, { open, moreLike }) {
  const breed = item.breed || strings.unknownBreed;
  const image = element("img", {
    src: item.urls.thumbnail,
    alt: "",
    loading: "lazy",
    decoding: "async",
    width: THUMBNAIL_SIDE,
    height: THUMBNAIL_SIDE,
  });
  const source =
    item.breed_source === "predicted"
      ? strings.predicted(item.predicted.confidence)
      : item.breed_source === "label"
        ? strings.labelled
        : "";
  return element(
    "li",
    { className: "card" },
    element(
      "button",
      { type: "button", className: "open", ariaLabel: strings.openPhoto(breed), onclick: () => open(item) },
      image,
    ),
    element(
      "div",
      { className: "facts" },
      element("p", { className: "breed" }, breed),
      element("p", { className: "source" }, source),
      item.score === undefined ? null : score(item.score, best),
    ),
    element(
      "button",
      { type: "button", className: "more", onclick: () => moreLike(item) },
      strings.moreLikeThis,
    ),
  );
}

function score(value, best) {
  const filled = element("span");
  filled.style.width = `${Math.round(Math.max(0, value / best) * 100)}%`;
  const bar = element("span", { className: "bar", ariaHidden: "true" }, filled);
  return element("div", { className: "score" }, strings.score(value), bar);
}
