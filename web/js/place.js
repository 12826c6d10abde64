// Where one was in the list: by a card and not by pixels, because cards that were never near the
// window have heights that are only guessed (content-visibility).
import { byId } from "./dom.js";

const cards = () => byId("results").children;

// The first card in the window, and how far below the window's top it begins.
export function placeNow() {
  const all = cards();
  let low = 0;
  let high = all.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (all[middle].getBoundingClientRect().bottom > 0) high = middle;
    else low = middle + 1;
  }
  const card = all[low];
  return { scrollY, id: card?.dataset.id ?? "", top: card?.getBoundingClientRect().top ?? 0 };
}

export function scrollBack(place) {
  scrollTo(0, place?.scrollY ?? 0);
  if (!place?.id || !place.scrollY) return;
  const align = (times) => {
    const card = byId("results").querySelector(`[data-id="${CSS.escape(place.id)}"]`);
    if (!card) return;
    scrollBy(0, card.getBoundingClientRect().top - place.top);
    // What comes into the window gets its real height in the next frame.
    if (times > 0) requestAnimationFrame(() => align(times - 1));
  };
  align(2);
}
