// Recent text searches, stored only in this browser.
const KEY = "petsearch.recent";
const MOST = 6;

export function recent() {
  try {
    const kept = JSON.parse(localStorage.getItem(KEY) ?? "[]");
    return Array.isArray(kept) ? kept.filter((words) => typeof words === "string").slice(0, MOST) : [];
  } catch {
    return []; // No storage, or a value that is not ours.
  }
}

export function remember(words) {
  if (words) keep([words, ...recent().filter((other) => other !== words)].slice(0, MOST));
}

export const forgetAll = () => keep([]);

function keep(list) {
  try {
    localStorage.setItem(KEY, JSON.stringify(list));
  } catch {
    // Private windows may reject this; search works without it.
  }
}
