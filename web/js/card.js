// One photo in a grid: its thumbnail, and how well it matches, in words where that is known.
import { element } from "./dom.js";
import { icon } from "./icons.js";
import { strings } from "./strings.js";
import { EMPTY, format } from "./url_state.js";

const THUMBNAIL_SIDE = 320;
const ALIKE = 0.5;
const said = strings.card;

export const hasName = (item) => Boolean(item.breed) && item.breed_source !== "unsure";
// A guess that is probably wrong names nothing: the species does, or nothing.
export function nameOf(item) {
  if (hasName(item)) return item.breed;
  return item.species_source === "unsure" || !item.species ? said.unsure : said.unsureOf(item.species);
}
// How alike a result is, is known only of calibrated models and some queries.
export const isJudged = (item) => item.confidence !== undefined && item.confidence !== null;
export const isAlike = (item) => item.confidence >= ALIKE;
// Results of a search by photo are opened beside that photo: `search` is its state.
const photoAddress = (item, search = EMPTY) => format({ ...search, photo: item.image_id });

// `actions.like`, `actions.unlike` and `actions.search` are optional.
export function card(item, actions = {}) {
  return element(
    item.score === undefined ? "li.card" : "li.card.hit",
    { "data-id": item.image_id },
    thumbnailLink(item, actions.search),
    item.status ? element("bdi.badge", { "data-status": item.status }, item.status) : null,
    element(
      "div.facts",
      {},
      element("p.breed", {}, element("bdi", {}, nameOf(item))),
      element("p.source", {}, ...sourceOf(item)),
    ),
    actions.like ? actionsOf(item, actions) : null,
  );
}

export function thumbnailLink(item, search) {
  const image = element("img", {
    src: item.urls.thumbnail, alt: said.open(nameOf(item), item.status),
    loading: "lazy", decoding: "async", width: THUMBNAIL_SIDE, height: THUMBNAIL_SIDE,
  });
  return element("a.open", { href: photoAddress(item, search) }, image);
}

function sourceOf(item) {
  const parts = [];
  if (isJudged(item)) {
    const title = said.confidenceTitle(item.confidence);
    parts.push(element("span.confidence", { title }, said.alike(item.confidence)));
  }
  if (item.breed_source === "predicted") parts.push(said.predicted(item.predicted.confidence));
  if (item.species_source === "unsure") parts.push(said.speciesUnsure);
  if (item.breed_source === "label") parts.push(said.labelled);
  return parts.flatMap((part, n) => (n ? [" · ", part] : [part]));
}

function actionsOf(item, { like, unlike }) {
  const name = nameOf(item);
  const make = (look, text, label, act) =>
    // The card is one stop of the Tab key; these have keys of their own.
    element("button.act", { type: "button", tabIndex: -1, "data-act": look, title: label, "aria-label": label, onclick: () => act(item) },
      icon(look), text);
  return element("div.acts", {},
    make("more", said.more, said.moreLike(name), like),
    unlike ? make("less", said.less, said.lessLike(name), unlike) : null);
}
