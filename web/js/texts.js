// Inserts the words of strings.js into the page's HTML: <h1 data-say="add.title">.
import { LANGUAGE, strings } from "./strings.js";

const ATTRIBUTES = { sayLabel: "aria-label", sayTitle: "title", sayPlaceholder: "placeholder" };

export function fillTexts(root) {
  document.documentElement.lang = LANGUAGE;
  for (const place of root.querySelectorAll("[data-say]")) place.textContent = find(place.dataset.say);
  for (const [name, attribute] of Object.entries(ATTRIBUTES)) {
    const selector = `[data-say-${attribute.replace("aria-", "")}]`;
    for (const place of root.querySelectorAll(selector)) place.setAttribute(attribute, find(place.dataset[name]));
  }
}

function find(path) {
  const found = path.split(".").reduce((part, key) => part?.[key], strings);
  if (typeof found !== "string") throw new Error(`no such text: ${path}`);
  return found;
}
