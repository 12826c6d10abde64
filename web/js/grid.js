// A growing grid of photos in sheets of equal size: cards, skeletons, and arrow keys that follow the
// layout. The browser skips whole sheets outside the viewport, so thousands of cards scroll as
// smoothly as dozens.
import { card, isAlike, isJudged } from "./card.js";
import { element } from "./dom.js";
import { strings } from "./strings.js";

const SKELETONS = 12;
const SHEET = 60; // Divisible by 1 to 6, so the last row is full.

export function showSkeletons(place) {
  place.setAttribute("aria-busy", "true");
  const bone = () =>
    element("li.card.skeleton", { "aria-hidden": "true" }, element("div.open"), element("div.facts"));
  deal(place, Array.from({ length: SKELETONS }, bone));
}

// Appends or replaces cards, with a line where results are no longer alike.
export function showCards(place, items, { actions, from = 0 }) {
  place.removeAttribute("aria-busy");
  const end = items.findIndex((item, n) => n > 0 && isJudged(item) && !isAlike(item) && isAlike(items[n - 1]));
  const shown = items.slice(from).map((item) => card(item, actions));
  if (end >= from && end > 0) {
    shown.splice(end - from, 0, element("li.divider", {}, strings.results.lessAlike));
  }
  deal(place, shown, { keep: from > 0 });
}

// Removes a card and closes the gap.
export function removeCard(place, imageId) {
  const gone = place.querySelector(`[data-id="${CSS.escape(imageId)}"]`);
  if (!gone) return;
  gone.remove();
  deal(place, [...place.querySelectorAll(".card, .divider")]);
}

export function replaceCard(place, fresh) {
  place.querySelector(`[data-id="${CSS.escape(fresh.dataset.id)}"]`)?.replaceWith(fresh);
}

function deal(place, cards, { keep = false } = {}) {
  if (!keep) place.replaceChildren();
  let sheet = place.lastElementChild;
  for (const one of cards) {
    if (!sheet || sheet.children.length === SHEET) {
      sheet = element("ul.grid.sheet");
      place.append(sheet);
    }
    sheet.append(one);
  }
}

// Returns whether the key was handled.
export function walkWithArrows(event) {
  const here = document.activeElement?.closest(".grid > .card");
  if (!here || !document.activeElement.matches(".open")) return false;
  const cards = (here.closest(".sheets") ?? here.parentElement).querySelectorAll(".card");
  const target = cards[indexAfter(event.key, [...cards].indexOf(here), cards)];
  if (!target) return false;
  event.preventDefault();
  target.querySelector(".open").focus();
  return true;
}

// The actions of the card that has the focus. Returns whether the key was handled.
export function actByKey(event) {
  const look = { m: "more", l: "less" }[event.key.toLowerCase()];
  const card = document.activeElement?.closest(".card");
  const act = look && card?.querySelector(`[data-act="${look}"]`);
  if (!act) return false;
  event.preventDefault();
  act.click();
  return true;
}

function indexAfter(key, here, cards) {
  switch (key) {
    case "ArrowRight": return here + 1;
    case "ArrowLeft": return here - 1;
    case "ArrowDown": return here + columnsOf(cards);
    case "ArrowUp": return here - columnsOf(cards);
    case "Home": return 0;
    case "End": return cards.length - 1;
    default: return -1;
  }
}

function columnsOf(cards) {
  const top = cards[0].offsetTop;
  let columns = 1;
  while (columns < cards.length && cards[columns].offsetTop === top) columns += 1;
  return columns;
}
