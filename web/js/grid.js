// A grid of photos that grows: cards, skeletons, and arrow keys that walk it as it is laid out.
import { card } from "./card.js";
import { element } from "./dom.js";

const SKELETONS = 12;

export function showSkeletons(grid) {
  grid.setAttribute("aria-busy", "true");
  const bone = () =>
    element("li.card.skeleton", { "aria-hidden": "true" }, element("div.open"), element("div.facts"));
  grid.replaceChildren(...Array.from({ length: SKELETONS }, bone));
}

// Appends cards, or replaces what is there. `best` is the score whose bar is full.
export function showCards(grid, items, { best, actions, from = 0 }) {
  grid.removeAttribute("aria-busy");
  const cards = items.slice(from).map((item) => card(item, best, actions));
  if (from === 0) grid.replaceChildren(...cards);
  else grid.append(...cards);
}

// Returns whether the key was used.
export function walkWithArrows(event) {
  const here = document.activeElement?.closest(".grid > .card");
  if (!here || !document.activeElement.matches(".open")) return false;
  const cards = here.parentElement.children;
  const target = cards[indexAfter(event.key, [...cards].indexOf(here), cards)];
  if (!target) return false;
  event.preventDefault();
  target.querySelector(".open").focus();
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
