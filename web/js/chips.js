// The parts of a search other than its words, as removable chips.
import { element } from "./dom.js";
import { icon } from "./icons.js";
import { strings } from "./strings.js";
import { filtersGiven } from "./url_state.js";

const said = strings.filters;

function chip(kind, text, label, onRemove, picture = null) {
  const image = picture && element("img", { src: picture, alt: "", width: 28, height: 28 });
  const remove = element("button", { type: "button", "aria-label": label, title: label, onclick: onRemove },
    icon("close"));
  return element(`li.chip.${kind}`, {}, image, element("bdi", {}, text), remove);
}

export function exampleChip(kind, name, picture, onRemove) {
  const text = kind === "unlike" ? strings.results.unlike(name) : strings.results.like(name);
  return chip(kind, text, strings.results.removeLike(text), onRemove, picture);
}

export function filterChips(state, remove) {
  return filtersGiven(state).map((name) =>
    chip("filter", wordsOf(name, state[name]), said.remove(said.of[name]), () => remove(name)));
}

function wordsOf(name, value) {
  // A date without a time would be parsed as midnight UTC, which is the day before in America.
  if (name === "since") return `${said.of.since} ${strings.date(`${value.slice(0, 10)}T00:00`)}`;
  if (name === "near") return `${said.of.near} ${nearInWords(value)}`;
  if (name === "min") return `${said.of.min}: ${said.closer}`;
  if (name === "least") return `${said.of.least}: ${said.leastOf(value)}`;
  return `${said.of[name]}: ${value}`;
}

function nearInWords(value) {
  const [lat, lon, km] = value.split(",");
  return `${lat}, ${lon} ${said.km(Number(km))}`;
}
