// Query photos, stored in this browser, because a URL can only name one.
const STORE = "photos";
const MOST = 20;
const inMemory = new Map();

// `capture` is when and where the photo was taken, as its file says; it never leaves this browser.
export async function keep(photo, capture = {}) {
  const token = crypto.getRandomValues(new Uint32Array(2)).join("").slice(0, 16);
  inMemory.set(token, { photo, capture });
  try {
    const entry = { name: photo.name ?? "", type: photo.type, capture, at: Date.now() };
    // Private windows of Safari store no blob.
    await put(token, { ...entry, blob: photo }).catch(async () => put(token, { ...entry, blob: await photo.arrayBuffer() }));
  } catch {
    // Without storage, back and forward work, but a reload asks for the photo again.
  }
  return token;
}

// The photo of a token and its capture, or null if it is stored in another browser.
export async function find(token) {
  if (inMemory.has(token)) return inMemory.get(token);
  try {
    const store = (await database()).transaction(STORE).objectStore(STORE);
    const kept = await answer(store.get(token));
    if (!kept) return null;
    const photo = new File([kept.blob], kept.name || "photo.jpg", { type: kept.type ?? kept.blob.type });
    inMemory.set(token, { photo, capture: kept.capture ?? {} });
    return inMemory.get(token);
  } catch {
    return null;
  }
}

let shown = null;

// The object URL, name and capture of the photo, or null if it is stored in another browser. Only one
// URL exists at a time, because it keeps its photo in memory.
export async function addressOf(token) {
  const found = await find(token);
  if (!found) return null;
  const { photo, capture } = found;
  if (shown?.token !== token) {
    if (shown) URL.revokeObjectURL(shown.url);
    shown = { token, url: URL.createObjectURL(photo) };
  }
  return { name: photo.name, url: shown.url, capture };
}

async function put(token, entry) {
  const store = (await database()).transaction(STORE, "readwrite").objectStore(STORE);
  store.put(entry, token);
  await prune(store);
}

async function prune(store) {
  const keys = await answer(store.getAllKeys());
  const all = await answer(store.getAll());
  const byAge = all.map((entry, n) => [entry.at, keys[n]]).sort((a, b) => b[0] - a[0]);
  for (const [, key] of byAge.slice(MOST)) store.delete(key);
}

let opened = null;

function database() {
  opened ??= new Promise((resolve, reject) => {
    const request = indexedDB.open("petsearch", 1);
    request.onupgradeneeded = () => request.result.createObjectStore(STORE);
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
  return opened;
}

const answer = (request) =>
  new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
