// Duplicates in groups, for operators who clean up.
import { getDuplicates } from "./api.js";
import { thumbnailLink } from "./card.js";
import { byId, button, element, option } from "./dom.js";
import { problemMessage } from "./messages.js";
import { strings } from "./strings.js";

const said = strings.operator;
const MOST_PAGES = 5;

export function connectDuplicates() {
  const tier = element("select", { "aria-label": said.tier },
    Object.entries(said.tiers).map(([value, text]) => option(value, text, value === "same_photo")));
  const found = element("div", { "aria-live": "polite" });
  const look = button("quiet", said.look, () => search(tier.value, found));
  byId("operator-duplicates").replaceChildren(element("div.actions", {}, tier, look), found);
}

async function search(tier, place) {
  place.replaceChildren(element("p.loading", {}, strings.loading));
  const list = element("ul.groups");
  try {
    let cursor = null;
    // A page may contain no group although more follow: load a few more.
    for (let pages = 0; pages < MOST_PAGES; pages += 1) {
      const page = await getDuplicates(tier, cursor);
      list.append(...page.items.map(groupRow));
      cursor = page.next_cursor;
      if (!cursor) break;
    }
  } catch (problem) {
    place.replaceChildren(problemMessage(problem, () => search(tier, place)));
    return;
  }
  place.replaceChildren(list.children.length ? list : element("p.soft", {}, said.noDuplicates));
}

function groupRow({ images }) {
  return element("li.group-of", {},
    element("ul.thumbs", {}, images.map((image) => element("li.card.small", {}, thumbnailLink(image)))),
    images.length === 1 ? element("p.soft", {}, said.times(images[0].sources.length)) : null);
}
