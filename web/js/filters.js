// The filters beside the results: they show the state of the URL, and change it.
import { getFacets } from "./api.js";
import { byId, debounced, option } from "./dom.js";
import * as sheet from "./filter_sheet.js";
import { strings } from "./strings.js";
import { EMPTY, filtersGiven, isSearch } from "./url_state.js";

const said = strings.filters;
const FACETS = ["species", "breed", "status"];
const selectOf = (name) => byId(name === "status" ? "status-filter" : name);
const known = new Map();

let change = null;
let asking = null;
let shown = EMPTY;

const EARLIEST_DAY = "1990-01-01";
const DISTANCES_KM = [1, 2, 5, 10, 25, 50, 100, 500];

// Calls `onChange` with the fields that the user set.
export function connect(onChange) {
  change = onChange;
  byId("km").replaceChildren(...DISTANCES_KM.map((km) => option(String(km), said.distance(km))));
  for (const name of ["breed", "status", "sort", "least"]) {
    selectOf(name).addEventListener("change", (event) => change({ [name]: event.target.value }));
  }
  byId("since").addEventListener("change", ({ target: { value } }) => {
    // While 2026 is typed, the year is first 2, 20 and 202.
    if (!value || value >= EARLIEST_DAY) change({ since: value });
  });
  byId("species").addEventListener("change", (event) => change({ species: event.target.value, breed: "" }));
  for (const name of ["lat", "lon", "km"]) byId(name).addEventListener("change", onPlaceTyped);
  byId("locate").addEventListener("click", locate);
  sheet.connect(() => refresh(shown));
}

export const hide = sheet.close;

export function show(state) {
  shown = state;
  const asked = isSearch(state);
  byId("least-field").hidden = !asked;
  byId("sort-field").hidden = asked;
  const day = state.since.slice(0, 10);
  const since = byId("since");
  if (since.value !== day || document.activeElement !== since) since.value = day; // What is typed half stays.
  byId("sort").value = state.sort || "created_at";
  byId("least").value = state.least;
  showPlace(state.near);
  const count = filtersGiven(state).length;
  sheet.showSet(count);
  byId("filters-clear").disabled = count === 0;
  for (const name of FACETS) fill(name, known.get(name) ?? { values: [] }, state[name]);
  refresh(state);
}

// Counts under the other filters. They load independently and never delay the results.
const refresh = debounced(60, async (state) => {
  asking?.abort();
  asking = new AbortController();
  const { signal } = asking;
  await Promise.all([...FACETS.map((by) => count(by, state, signal)), sheet.countPhotos(state, signal)]);
});

async function count(by, state, signal) {
  try {
    const others = { ...state, [by]: "", ...(by === "species" ? { breed: "" } : {}) };
    known.set(by, await getFacets(by, others, signal));
  } catch {
    return; // The results show the error; the last counts stay.
  }
  if (!signal.aborted) fill(by, known.get(by), state[by]);
}

function fill(name, { values, unsure }, chosen) {
  showUnsure(name, chosen ? unsure : 0);
  const select = selectOf(name);
  const entries = values.filter(({ count: some }) => some > 0);
  if (chosen && !entries.some(({ value }) => value === chosen)) entries.unshift({ value: chosen, count: 0 });
  const words = ({ value, count }) => (count ? said.option(value, count) : value);
  const made = [option("", said.any), ...entries.map((entry) => option(entry.value, words(entry)))];
  const as = (list) => list.map((one) => `${one.value}\n${one.text}`).join("\n");
  if (as(made) !== as([...select.options])) select.replaceChildren(...made);
  select.value = chosen;
}

// A filter keeps the photos whose species or breed is unsure.
function showUnsure(name, count) {
  const hint = byId(`${name}-hint`);
  if (hint) hint.textContent = count ? said.unsure(count) : "";
}

function showPlace(near) {
  const [lat, lon, km] = near ? near.split(",") : ["", "", ""];
  byId("lat").value = lat;
  byId("lon").value = lon;
  if (km && ![...byId("km").options].some(({ value }) => value === km)) {
    byId("km").append(option(km, said.distance(Number(km))));
  }
  byId("km").value = km || "10";
}

function onPlaceTyped() {
  const lat = byId("lat");
  const lon = byId("lon");
  if (!lat.value && !lon.value) return change({ near: "" });
  if (!lat.value || !lon.value || !lat.checkValidity() || !lon.checkValidity()) return undefined;
  return change({ near: `${lat.value},${lon.value},${byId("km").value}` });
}

function locate() {
  const hint = byId("place-hint");
  const fail = () => { hint.textContent = said.noPosition; };
  if (!navigator.geolocation) return fail();
  hint.textContent = said.locating;
  const take = ({ coords }) => {
    hint.textContent = "";
    // Three decimals are 100 m: precise enough for a search, and more private.
    const at = [coords.latitude, coords.longitude].map((degrees) => degrees.toFixed(3));
    change({ near: `${at.join(",")},${byId("km").value}` });
  };
  return navigator.geolocation.getCurrentPosition(take, fail, { timeout: 15_000, maximumAge: 60_000 });
}
