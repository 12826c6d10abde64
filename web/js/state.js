// What is searched for, and its place in the address bar: back, forward and share work.
const NAMES = ["q", "like", "species", "breed"];

// A photo that was dropped cannot be in an address; it lives as long as the page.
let photo = null;

export function read() {
  const given = new URLSearchParams(location.search);
  const state = Object.fromEntries(NAMES.map((name) => [name, given.get(name) || ""]));
  return { ...state, photo: history.state?.photo ? photo : null };
}

export function go(state) {
  photo = state.photo ?? null;
  const given = NAMES.filter((name) => state[name]).map((name) => [name, state[name]]);
  const query = new URLSearchParams(given).toString();
  const entry = { photo: Boolean(photo) };
  history.pushState(entry, "", query ? `?${query}` : location.pathname);
  dispatchEvent(new PopStateEvent("popstate", { state: entry }));
}
