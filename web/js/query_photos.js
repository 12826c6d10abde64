// Query photos, stored in this browser, because a URL can only name one.
const STORE = "photos";
const MOST = 20;
const inMemory = new Map();

export async function keep(blob) {
  const token = crypto.getRandomValues(new Uint32Array(2)).join("").slice(0, 16);
  inMemory.set(token, blob);
  try {
    const store = (await database()).transaction(STORE, "readwrite").objectStore(STORE);
    store.put({ blob, name: blob.name ?? "", at: Date.now() }, token);
    await prune(store);
  } catch {
    // Without storage, back and forward work, but a reload asks for the photo again.
  }
  return token;
}

// The photo of a token, or null if it is stored in another browser.
export async function find(token) {
  if (inMemory.has(token)) return inMemory.get(token);
  try {
    const store = (await database()).transaction(STORE).objectStore(STORE);
    const kept = await answer(store.get(token));
    if (!kept) return null;
    const photo = new File([kept.blob], kept.name || "photo.jpg", { type: kept.blob.type });
    inMemory.set(token, photo);
    return photo;
  } catch {
    return null;
  }
}

let shown = null;

// The object URL and name of the photo, or null if it is stored in another browser. Only one URL
// exists at a time, because it keeps its photo in memory.
export async function addressOf(token) {
  const photo = await find(token);
  if (!photo) return null;
  if (shown?.token !== token) {
    if (shown) URL.revokeObjectURL(shown.url);
    shown = { token, url: URL.createObjectURL(photo) };
  }
  return { name: photo.name, url: shown.url };
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
