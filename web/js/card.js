// One photo in a grid: its thumbnail, and how well it matches in words.
import { element } from "./dom.js";
import { icon } from "./icons.js";
import { strings } from "./strings.js";
import { EMPTY, format } from "./url_state.js";

const THUMBNAIL_SIDE = 320;
const said = strings.card;

export const nameOf = (item) => item.breed || said.unknown;
export const photoAddress = (item) => format({ ...EMPTY, photo: item.image_id });

// `actions.like` and `actions.unlike` are optional.
export function card(item, best, actions = {}) {
  return element(
    "li.card",
    { "data-id": item.image_id },
    thumbnailLink(item),
    item.status ? element("bdi.badge", {}, item.status) : null,
    element(
      "div.facts",
      {},
      element("p.breed", {}, element("bdi", {}, nameOf(item))),
      element("p.source", {}, ...sourceOf(item)),
      item.score === undefined ? null : scoreBar(item.score, best),
    ),
    actions.like ? actionsOf(item, actions) : null,
  );
}

export function thumbnailLink(item) {
  const image = element("img", {
    src: item.urls.thumbnail, alt: said.open(nameOf(item), item.status),
    loading: "lazy", decoding: "async", width: THUMBNAIL_SIDE, height: THUMBNAIL_SIDE,
  });
  return element("a.open", { href: photoAddress(item) }, image);
}

function sourceOf(item) {
  const parts = [];
  if (item.confidence !== undefined && item.confidence !== null) {
    const title = said.confidenceTitle(item.confidence);
    parts.push(element("span.confidence", { title }, said.confidence(item.confidence)));
  }
  if (item.breed_source === "predicted") parts.push(said.predicted(item.predicted.confidence));
  else if (item.breed_source === "label") parts.push(said.labelled);
  return parts.flatMap((part, n) => (n ? [" · ", part] : [part]));
}

function scoreBar(value, best) {
  const filled = element("span");
  filled.style.width = `${Math.round(Math.max(0, Math.min(1, value / best)) * 100)}%`;
  return element("div.score", {}, said.score(value), element("span.bar", { "aria-hidden": "true" }, filled));
}

function actionsOf(item, { like, unlike }) {
  const name = nameOf(item);
  const make = (look, text, label, act) =>
    element("button.act", { type: "button", title: label, "aria-label": label, onclick: () => act(item) },
      icon(look), text);
  return element("div.acts", {},
    make("more", said.more, said.moreLike(name), like),
    unlike ? make("less", said.less, said.lessLike(name), unlike) : null);
}
