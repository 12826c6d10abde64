// Files that users choose, drop or paste, including those in folders, sorted into kinds by name.
import { Problem } from "./problem.js";
import { strings } from "./strings.js";

const PHOTO = /\.(jpe?g|jfif|png|webp|gif|hei[cf]|bmp|tiff?)$/i;
const ARCHIVE = /\.(zip|tar|tgz|tar\.gz|tar\.bz2|tbz2|tar\.xz|txz)$/i;
const MANIFEST = /\.(csv|tsv|jsonl|ndjson|xlsx)$/i;

export const isPhoto = (file) => file.type.startsWith("image/") || PHOTO.test(file.name);
export const kindOfSource = (file) =>
  ARCHIVE.test(file.name) ? "archive" : MANIFEST.test(file.name) ? "manifest" : null;

// Browsers report a chosen file that was moved, changed or deleted since like a line that is gone. Chromium
// may say that such a file is empty, and of no bytes reads none without an error.
export const isReadable = (file) =>
  (file.size ? file.slice(0, 1) : file).arrayBuffer().then(() => true, () => false);

export async function needReadable(file) {
  if (!(await isReadable(file))) throw new Problem(null, strings.problems.unreadable(file.name));
}

export function onPicked(input, use) {
  input.addEventListener("change", () => {
    const files = [...input.files];
    input.value = "";
    if (files.length) use(files);
  });
}

// Calls `onFiles` with files dropped anywhere on the page, or pasted.
export function watchDrops(place, { hint, onFiles }) {
  const hasFiles = (event) => event.dataTransfer?.types.includes("Files");
  addEventListener("dragover", (event) => {
    if (!hasFiles(event) || document.querySelector("dialog[open]")) return;
    event.preventDefault();
    place.textContent = hint();
    place.hidden = false;
  });
  addEventListener("dragleave", (event) => {
    if (event.relatedTarget === null) place.hidden = true;
  });
  addEventListener("drop", async (event) => {
    if (!hasFiles(event)) return;
    event.preventDefault();
    place.hidden = true;
    if (document.querySelector("dialog[open]")) return;
    const files = await filesOf(event.dataTransfer);
    if (files.length) onFiles(files);
  });
  addEventListener("paste", (event) => {
    const files = [...(event.clipboardData?.files ?? [])];
    // Text from an office program comes with a picture of itself.
    const isText = event.clipboardData?.types.includes("text/plain") && event.target.matches?.("input, textarea");
    if (files.length && !isText && !document.querySelector("dialog[open]")) onFiles(files);
  });
}

async function filesOf(transfer) {
  // Entries are valid only during the event: collect all of them before the first await.
  const entries = [...transfer.items].map((item) => item.webkitGetAsEntry?.()).filter(Boolean);
  if (!entries.some((entry) => entry.isDirectory)) return [...transfer.files];
  const found = await Promise.all(entries.map(walkEntry));
  return found.flat();
}

async function walkEntry(entry) {
  if (entry.name.startsWith(".")) return [];
  if (entry.isFile) return [await new Promise((resolve, reject) => { entry.file(resolve, reject); })];
  const reader = entry.createReader();
  const found = [];
  for (;;) {
    // A call returns at most 100 entries, and none at the end.
    const batch = await new Promise((resolve, reject) => { reader.readEntries(resolve, reject); });
    if (!batch.length) return found;
    for (const inner of batch) found.push(...(await walkEntry(inner)));
  }
}
