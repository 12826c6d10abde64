// The scroll position in the list, kept as a card rather than pixels, because sheets outside the
// viewport have estimated heights (content-visibility).
import { byId } from "./dom.js";

const isBelowTop = (one) => one.getBoundingClientRect().bottom > 0;

// The first card in the viewport, and its distance from the top.
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
    // Sheets that enter the viewport get their real height in the next frame.
    if (times > 0) requestAnimationFrame(() => align(times - 1));
  };
  align(2);
}
