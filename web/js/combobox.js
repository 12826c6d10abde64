// Suggestions under the search box: recent searches and the catalogue's breeds (ARIA combobox).
import { byId, element } from "./dom.js";
import { icon } from "./icons.js";
import { forgetAll, recent } from "./recent.js";
import { strings } from "./strings.js";

const MOST_BREEDS = 8;
const said = strings.suggestions;

let input = null;
let list = null;
let breeds = [];
let choose = null;

export function connect(onChoose) {
  input = byId("query");
  list = byId("suggestions");
  choose = onChoose;
  input.addEventListener("input", open);
  input.addEventListener("click", open);
  input.addEventListener("keydown", onKey);
  input.addEventListener("blur", close);
  // The input keeps the focus; otherwise the list would close before the click arrives.
  list.addEventListener("pointerdown", (event) => event.preventDefault());
}

export function setBreeds(names) {
  breeds = names;
}

function open() {
  const groups = [recentOptions(), breedOptions()].filter((group) => group.length > 1);
  const entries = groups.flat();
  if (!entries.length) return close();
  list.replaceChildren(...entries);
  list.hidden = false;
  input.setAttribute("aria-expanded", "true");
  input.removeAttribute("aria-activedescendant");
  byId("suggestion-count").textContent = said.count(options().length);
  return undefined;
}

export function close() {
  list.hidden = true;
  list.replaceChildren();
  input.setAttribute("aria-expanded", "false");
  input.removeAttribute("aria-activedescendant");
}

function recentOptions() {
  const typed = input.value.trim().toLowerCase();
  const found = recent().filter((words) => words.toLowerCase().includes(typed) && words !== input.value);
  const forget = () => { forgetAll(); close(); };
  const last = typed ? [] : [entry("close", said.forget, forget, "forget")];
  return [heading(said.recent), ...found.map((words) => entry("clock", words, () => take(words))),
    ...(found.length ? last : [])];
}

function breedOptions() {
  const typed = input.value.trim().toLowerCase();
  if (!typed) return [];
  const word = typed.split(/\s+/).pop();
  const rank = (name) => (name.toLowerCase().startsWith(word) ? 0 : 1);
  const found = breeds
    .filter((name) => name.toLowerCase().includes(word) && name.toLowerCase() !== typed)
    .sort((a, b) => rank(a) - rank(b))
    .slice(0, MOST_BREEDS);
  return [heading(said.breeds), ...found.map((name) => entry("search", name, () => take(completed(name, word))))];
}

// The breed replaces the last word typed; earlier words stay.
function completed(name, word) {
  const value = input.value.trimEnd();
  return value.slice(0, value.length - word.length) + name;
}

const heading = (text) => element("li.group", { role: "presentation" }, text);

let numbers = 0;

function entry(look, text, act, extra = "") {
  numbers += 1;
  return element(
    "li.suggestion",
    { role: "option", id: `suggestion-${numbers}`, "aria-selected": "false", "data-extra": extra, onclick: act },
    icon(look),
    element("bdi", {}, text),
  );
}

function take(words) {
  input.value = words;
  close();
  choose();
}

const options = () => [...list.querySelectorAll("[role=option]")];

function onKey(event) {
  if (event.key === "Escape" && !list.hidden) {
    event.preventDefault();
    event.stopPropagation();
    close();
  } else if (event.key === "ArrowDown" || event.key === "ArrowUp") {
    event.preventDefault();
    if (list.hidden) open();
    mark(event.key === "ArrowDown" ? 1 : -1);
  } else if (event.key === "Enter" && input.hasAttribute("aria-activedescendant")) {
    event.preventDefault();
    byId(input.getAttribute("aria-activedescendant")).click();
  }
}

function mark(step) {
  const all = options();
  if (!all.length) return;
  const active = input.getAttribute("aria-activedescendant");
  const before = all.findIndex((one) => one.id === active);
  const next = before < 0 ? (step > 0 ? 0 : all.length - 1) : (before + step + all.length) % all.length;
  for (const [n, one] of all.entries()) one.setAttribute("aria-selected", String(n === next));
  all[next].scrollIntoView({ block: "nearest" });
  input.setAttribute("aria-activedescendant", all[next].id);
}
