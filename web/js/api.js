// The REST API, relative to the page, which may lie below a path. A call resolves to the body, or
// rejects with a Problem; AbortError passes through.
import { Problem, problemOf } from "./problem.js";
import { EMPTY, format, isPhotoSearch, isSearch, searchPart } from "./url_state.js";

export const PAGE = 60; // Divisible by 1 to 6, for full rows.

export async function send(path, { headers, ...options } = {}) {
  let response;
  try {
    response = await fetch(`.${path}`, { ...options, headers: { Accept: "application/json", ...headers } });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Problem(0, error.message);
  }
  if (!response.ok) throw await problemOf(response);
  return response;
}

const call = async (path, options) => {
  const response = await send(path, options);
  return response.status === 204 ? null : response.json();
};

const asJson = (value, type = "application/json") => ({
  body: JSON.stringify(value),
  headers: { "Content-Type": type },
});

const enc = encodeURIComponent;

function parameters(values) {
  const given = Object.entries(values).filter(([, value]) => value || value === 0);
  return new URLSearchParams(Object.fromEntries(given));
}

// --- photos -----------------------------------------------------------------

const filtersOf = (state) => ({
  species: state.species, breed: state.breed, status: state.status, tag: state.tag,
  animal_id: state.animal, since: startOf(state.since), near: state.near,
});

// Days begin at midnight in the user's time zone.
function startOf(day) {
  const start = new Date(`${day}T00:00`);
  return Number.isNaN(start.valueOf()) ? day : start.toISOString();
}

let ahead = null;

// Begins to ask for the first page of a list, which the first `findPhotos` takes.
export function askAhead(state) {
  const answer = findPhotos(state);
  answer.catch(() => undefined); // Whoever takes it sees the error.
  ahead = { list: format(searchPart(state)), answer };
}

export async function findPhotos(state, { photo, cursor, limit = PAGE, signal } = {}) {
  const asked = ahead;
  ahead = null;
  if (asked && !photo && !cursor && limit === PAGE && asked.list === format(searchPart(state))) {
    const answer = await asked.answer;
    signal?.throwIfAborted();
    return answer;
  }
  const page = { limit, cursor };
  if (!isSearch(state)) {
    return call(`/v1/images?${parameters({ ...filtersOf(state), sort: state.sort, ...page })}`, { signal });
  }
  if (state.q && !isPhotoSearch(state) && !state.not.length) {
    const asked = { q: state.q, ...filtersOf(state), min_score: state.min, ...page };
    return call(`/v1/search?${parameters(asked)}`, { signal });
  }
  const query = composed(state, page);
  if (!photo) return call("/v1/search", { method: "POST", signal, ...asJson(query) });
  const body = formWith(photo);
  body.append("query", JSON.stringify(query));
  return call("/v1/search/image", { method: "POST", body, signal });
}

function formWith(photo) {
  const form = new FormData();
  form.append("photo", photo, photo.name || "photo.jpg");
  return form;
}

function composed(state, page) {
  const { tag, near, ...filters } = filtersOf(state);
  const [lat, lon, km] = (near || "").split(",").map(Number);
  const given = Object.fromEntries(Object.entries(filters).filter(([, value]) => value));
  return {
    text: state.q || null,
    shared: state.shared || null,
    positive: state.like.map((id) => ({ image_id: id })),
    negative: state.not.map((id) => ({ image_id: id })),
    filters: { ...given, tags: tag ? [tag] : [], near: near ? { lat, lon, km } : null },
    min_score: state.min ? Number(state.min) : null,
    limit: page.limit,
    cursor: page.cursor || null,
  };
}

const sharedSearch = (id) => `/v1/shared-searches/${enc(id)}`;

export const sharePhoto = (photo) => call("/v1/shared-searches", { method: "POST", body: formWith(photo) });
export const getShared = (id) => call(sharedSearch(id));
export const sharedPhoto = (id) => `.${sharedSearch(id)}/photo`;
export const deleteShared = (id, token) => call(`${sharedSearch(id)}?${parameters({ token })}`, { method: "DELETE" });

export const getStats = () => call("/v1/stats");

// A server that is not ready returns 503 with the state of each part.
export async function getHealth() {
  try {
    return await call("/readyz");
  } catch (problem) {
    if (problem.body?.checks) return problem.body;
    throw problem;
  }
}

export async function getFacets(by, state, signal) {
  const asked = { by, ...filtersOf({ ...EMPTY, ...state }) };
  return call(`/v1/facets?${parameters(asked)}`, { signal });
}

const image = (id) => `/v1/images/${enc(id)}`;

export async function getImage(id, signal) {
  const response = await send(image(id), { signal, cache: "no-store" });
  return { image: await response.json(), etag: response.headers.get("ETag") };
}

export async function changeImage(id, changes, etag) {
  const { body, headers } = asJson(changes, "application/merge-patch+json");
  const response = await send(image(id), {
    method: "PATCH", body, headers: { ...headers, "If-Match": etag },
  });
  return { image: await response.json(), etag: response.headers.get("ETag") };
}

export const deleteImage = (id) => call(image(id), { method: "DELETE" });
export const getSimilar = (id, limit, signal) => call(`${image(id)}/similar?limit=${limit}`, { signal });
export const getDuplicatesOf = (id, signal) => call(`${image(id)}/duplicates`, { signal });
export const getDuplicates = (tier, cursor) =>
  call(`/v1/duplicates?${parameters({ tier, cursor, limit: 20 })}`);

// --- jobs -------------------------------------------------------------------

const job = (id) => `/v1/jobs/${enc(id)}`;

export const openJob = (source, expected, options) =>
  call("/v1/jobs", { method: "POST", ...asJson({ source, expected, ...options }) });
export const listJobs = (limit = 20) => call(`/v1/jobs?limit=${limit}`);
export const getJob = (id, signal) => call(job(id), { signal });
export const controlJob = (id, action) => call(`${job(id)}/${action}`, { method: "POST" });
export const getItems = (id, { status, cursor, limit = 200, signal } = {}) =>
  call(`${job(id)}/items?${parameters({ status, cursor, limit })}`, { signal });

// --- models -----------------------------------------------------------------

export const getModels = () => call("/v1/models");
export const promoteModel = (id) => call(`/v1/models/${enc(id)}/promote`, { method: "POST" });
export const dropCollection = (id) => call(`/v1/models/${enc(id)}/collection`, { method: "DELETE" });
export const rollBackModel = () => call("/v1/models/rollback", { method: "POST" });
export const startReindex = (modelId) =>
  call("/v1/reindex", { method: "POST", ...asJson({ model_id: modelId }) });

// --- session ----------------------------------------------------------------

export const getSession = () => call("/v1/session");
export const signIn = (key) => call("/v1/session", { method: "POST", ...asJson({ api_key: key }) });
export const signOut = () => call("/v1/session", { method: "DELETE" });
