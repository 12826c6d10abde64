// A query photo and a result at equal size, side by side, zoomed and moved as one.
import { getImage, sharedPhoto } from "./api.js";
import { agreementTable, sideOfImage, sideOfSearch } from "./agreement.js";
import { isJudged, nameOf } from "./card.js";
import { element, option } from "./dom.js";
import { icon } from "./icons.js";
import { LinkedZoom } from "./linked_zoom.js";
import { addressOf } from "./query_photos.js";
import { strings } from "./strings.js";

const said = strings.compare;
const NAMES = { by: said.yours, shared: said.sharedOne };

// What the result is compared with, among the parts of the query: `{ key, keys, name, alt, src, side }`, or null
// if none of them is available. `chosen` is the key of the one to prefer.
export async function exampleOf(state, chosen, signal) {
  const keys = [...Object.keys(NAMES).filter((part) => state[part]), ...state.like];
  const key = keys.includes(chosen) ? chosen : keys[0];
  if (!key) return null;
  const found = await (key === "by" ? exampleOfPhoto(state) : key === "shared" ? exampleOfShared(state) : exampleOfImage(key, signal));
  const name = NAMES[key] ?? said.example(keys.length > 1 ? keys.indexOf(key) + 1 : "");
  return found && { key, keys, name, ...found };
}

async function exampleOfPhoto(state) {
  const photo = await addressOf(state.by);
  return photo && { alt: said.yours, src: photo.url, side: sideOfSearch(state, photo.capture) };
}

const exampleOfShared = (state) =>
  ({ alt: NAMES.shared, src: sharedPhoto(state.shared), side: sideOfSearch(state, {}) });

async function exampleOfImage(id, signal) {
  try {
    const { image } = await getImage(id, signal);
    return { alt: nameOf(image), src: image.urls.display, side: sideOfImage(image) };
  } catch (error) {
    if (error.status === 404) return null; // It was deleted meanwhile: the result is shown alone.
    throw error;
  }
}

// `item` is the image as a result, if it is among those loaded. Returns `{ stage, table, onKey }`.
export function comparison(image, item, example, { onSwipe, onChoose }) {
  const panes = [pane(example.src, example.alt), pane(image.urls.display, nameOf(image))];
  const level = element("output", { "aria-live": "polite" });
  const tool = (look, label, act) =>
    element("button.quiet.round", { type: "button", "aria-label": label, title: label, onclick: act }, icon(look));
  const out = tool("less", said.zoomOut, () => zoom.zoomOut());
  const closer = tool("more", said.zoomIn, () => zoom.zoomIn());
  const whole = element("button.quiet", { type: "button", onclick: () => zoom.reset() }, said.whole);
  const onChange = (now) => {
    level.textContent = strings.percent(now.scale);
    for (const one of [out, whole]) one.disabled = now.isWhole;
    closer.disabled = now.isClosest;
  };
  const zoom = new LinkedZoom(panes, { onChange, onSwipe });
  const judged = item && isJudged(item) ? element("span.badge", {}, strings.card.alike(item.confidence)) : null;
  const stage = element("section.compare", { "aria-label": said.label },
    element("div.pair", {}, figure(panes[0], choice(example, onChoose)), figure(panes[1], caption(said.result), judged)),
    element("div.zoom", { role: "group", "aria-label": said.zoom }, out, level, closer, whole,
      element("span.soft", {}, said.hint)));
  const table = agreementTable(example.side, sideOfImage(image), [example.name, said.result]);
  return { stage, table, onKey: (event) => zoom.onKey(event) };
}

function pane(src, alt) {
  const picture = element("img", { src, alt, draggable: false, fetchPriority: "high" });
  picture.addEventListener("error", () => picture.replaceWith(element("p.soft", {}, said.cannotShow)));
  return element("div.pane", {}, element("div.sheet-of-pane", {}, picture));
}

const figure = (shown, ...words) => element("figure", {}, element("figcaption", {}, ...words), shown);
const caption = (text) => element("bdi", {}, text);

// With several examples, which of them is compared.
function choice({ key, keys, name }, onChoose) {
  if (keys.length < 2) return caption(name);
  const words = (one, n) => NAMES[one] ?? said.example(n + 1);
  return element("select", { "aria-label": said.compareWith, "data-keep": "example", onchange: (event) => onChoose(event.target.value) },
    keys.map((one, n) => option(one, words(one, n), one === key)));
}
