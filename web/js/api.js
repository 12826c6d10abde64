// The REST API. A call resolves to the body or rejects with a Problem.
export class Problem extends Error {
  constructor(status, detail, retryAfterS = null) {
    super(detail);
    this.status = status;
    this.retryAfterS = retryAfterS;
  }

  get needsKey() {
    return this.status === 401;
  }

  get isOffline() {
    return this.status === 0;
  }
}

const PHOTOS_PER_REQUEST = 16;
const SEARCH_LIMIT = 48;

async function call(path, options = {}) {
  let response;
  try {
    response = await fetch(path, { ...options, headers: { Accept: "application/json" } });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Problem(0, error.message);
  }
  if (response.ok) return response.json();
  const body = await response.json().catch(() => ({}));
  const wait = Number(response.headers.get("Retry-After")) || null;
  throw new Problem(response.status, body.detail || response.statusText, wait);
}

function parameters(values) {
  const given = Object.entries(values).filter(([, value]) => value);
  return new URLSearchParams(Object.fromEntries(given));
}

export const signIn = (key) =>
  call("/v1/session", {
    method: "POST",
    body: new Blob([JSON.stringify({ api_key: key })], { type: "application/json" }),
  });

export const getStats = () => call("/v1/stats");

export const getImage = (id) => call(`/v1/images/${encodeURIComponent(id)}`);

export const listImages = ({ species, breed }, signal) =>
  call(`/v1/images?${parameters({ species, breed, limit: SEARCH_LIMIT })}`, { signal });

export const searchWords = ({ q, species, breed }, signal) =>
  call(`/v1/search?${parameters({ q, species, breed, limit: SEARCH_LIMIT })}`, { signal });

export const searchLike = ({ like, species, breed }, signal) =>
  call(
    `/v1/images/${encodeURIComponent(like)}/similar?` +
      parameters({ species, breed, limit: SEARCH_LIMIT }),
    { signal },
  );

export function searchPhoto(file, { species, breed }, signal) {
  const form = new FormData();
  form.append("photo", file);
  for (const [name, value] of parameters({ species, breed, limit: SEARCH_LIMIT })) {
    form.append(name, value);
  }
  return call("/v1/search/image", { method: "POST", body: form, signal });
}

// Sends photos as one job, a few per request; `onSent` hears how many have left.
export async function uploadPhotos(files, onSent) {
  const job = await call("/v1/jobs", {
    method: "POST",
    body: new Blob([JSON.stringify({ source: "page", expected: files.length })], {
      type: "application/json",
    }),
  });
  for (let start = 0; start < files.length; start += PHOTOS_PER_REQUEST) {
    const form = new FormData();
    for (const file of files.slice(start, start + PHOTOS_PER_REQUEST)) form.append("photos", file);
    await call(`/v1/jobs/${job.job_id}/photos`, { method: "POST", body: form });
    onSent(Math.min(start + PHOTOS_PER_REQUEST, files.length));
  }
  return call(`/v1/jobs/${job.job_id}/seal`, { method: "POST" });
}

export const getJob = (id) => call(`/v1/jobs/${encodeURIComponent(id)}`);

export async function getProblems(id) {
  const pages = await Promise.all(
    ["refused", "failed"].map((status) =>
      call(`/v1/jobs/${encodeURIComponent(id)}/items?status=${status}&limit=1000`),
    ),
  );
  return pages.flatMap((page) => page.items);
}
