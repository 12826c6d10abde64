// On a phone the filters are a sheet over the results: how many are set, how many photos they leave,
// and a way out. On wider screens they stay beside the results.
import { getFacets } from "./api.js";
import { byId } from "./dom.js";
import { strings } from "./strings.js";

const said = strings.filters;
const wide = matchMedia("(min-width: 901px)");
const sheet = () => byId("filter-sheet");
const sum = (numbers) => numbers.reduce((total, one) => total + one, 0);

// `onOpen` runs when the sheet is there, and needs its count.
export function connect(onOpen) {
  byId("filters-toggle").addEventListener("click", () => {
    byId("filter-sheet-place").append(byId("filters"));
    sheet().showModal();
    byId("filter-sheet-title").focus();
    onOpen();
  });
  byId("filter-sheet-close").addEventListener("click", close);
  byId("filter-sheet-done").addEventListener("click", close);
  // The sheet's parts cover it, so that only a tap beside it has itself as the target.
  sheet().addEventListener("click", ({ target }) => target === sheet() && close());
  sheet().addEventListener("close", () => byId("filters-toggle").after(byId("filters")));
  wide.addEventListener("change", close);
}

export const close = () => sheet().close();

export function showSet(count) {
  byId("filters-toggle").querySelector("span").textContent = said.toggle(count);
  byId("filter-sheet-title").textContent = said.toggle(count);
}

// The photos under all filters: each has one species, or is unsure.
export async function countPhotos(state, signal) {
  if (!sheet().open) return;
  const place = byId("filter-sheet-count");
  try {
    const { values, unsure } = await getFacets("species", state, signal);
    place.textContent = strings.photos(sum(values.map(({ count }) => count)) + unsure);
  } catch {
    if (!signal.aborted) place.textContent = ""; // The results show the error.
  }
}
