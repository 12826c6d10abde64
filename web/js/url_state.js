// The state of the page in its URL, which makes back, forward, reload and sharing work.
const ONE = ["q", "by", "shared", "species", "breed", "status", "tag", "animal", "since", "near",
  "min", "least", "sort", "page", "photo", "job"];
const MANY = ["like", "not"];
const FILTERS = ["species", "breed", "status", "tag", "animal", "since", "near", "min", "least"];
const OF_SEARCH = [...FILTERS, "q", "like", "by", "shared", "not", "sort"];

export const EMPTY = Object.freeze(parse(""));

export function parse(query) {
  const given = new URLSearchParams(query);
  const one = ONE.map((name) => [name, (given.get(name) ?? "").trim()]);
  const many = MANY.map((name) => [name, given.getAll(name).filter(Boolean)]);
  return Object.fromEntries([...one, ...many]);
}

export function format(state) {
  const query = new URLSearchParams();
  for (const name of ONE) if (state[name]) query.set(name, state[name]);
  for (const name of MANY) for (const value of state[name] ?? []) query.append(name, value);
  const words = query.toString();
  return words ? `?${words}` : "./";
}

export const read = () => parse(location.search);

// The parts of the state that decide which photos are listed.
export const searchPart = (state) => pick(state, OF_SEARCH);

export const isSearch = (state) => Boolean(state.q) || isPhotoSearch(state);

// Whether a photo or an image is among the parts of the query.
export const isPhotoSearch = (state) => Boolean(state.by || state.shared || state.like.length);

export const filtersGiven = (state) => FILTERS.filter((name) => state[name]);

export const withoutFilters = (state) => ({ ...state, ...pick(EMPTY, FILTERS) });

export const viewOf = (state) =>
  state.photo ? "photo" : state.job ? "job" : ["add", "operator"].includes(state.page) ? state.page : "search";

const pick = (state, names) =>
  Object.fromEntries(names.map((name) => [name, state[name] ?? EMPTY[name]]));

let depth = history.state?.depth ?? 0;

export function go(state) {
  // Repeating the current search loads it again without a new history entry.
  if (format(state) === format(read())) return dispatchEvent(new Event("asked-again"));
  depth += 1;
  history.pushState({ depth }, "", format(state));
  return dispatchEvent(new Event("navigate-here"));
}

export function replace(state) {
  history.replaceState({ depth }, "", format(state));
  dispatchEvent(new Event("navigate-here"));
}

// Goes back, or to `otherwise` if this page was the first.
export function leave(otherwise) {
  if (depth > 0) history.back();
  else replace(otherwise);
}

export function onChange(show) {
  addEventListener("popstate", () => {
    depth = history.state?.depth ?? 0;
    show(read());
  });
  addEventListener("navigate-here", () => show(read()));
}
