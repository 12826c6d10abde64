// Where one was in the list: by a card and not by pixels, because sheets that were never near the
// window have heights that are only guessed (content-visibility).
import { byId } from "./dom.js";

const isBelowTop = (one) => one.getBoundingClientRect().bottom > 0;

// The first card in the window, and how far below the window's top it begins.
export function placeNow() {
  const sheet = [...byId("results").children].find(isBelowTop);
  const card = sheet && [...sheet.children].find(isBelowTop);
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
