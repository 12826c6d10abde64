// Puts the page together: the form, the address bar, the results, photos that are dropped.
import * as api from "./api.js";
import { byId, element } from "./dom.js";
import { openPhoto } from "./photo.js";
import { showItems, showMessage, showSkeletons, walkWithArrows } from "./results.js";
import { signInForm } from "./signin.js";
import * as state from "./state.js";
import { strings } from "./strings.js";
import { addPhotos } from "./upload.js";

const SEEDING_POLL_MS = 1500;

let running = new AbortController();
let knownCount = null;
let photoUrl = null;

async function search() {
  running.abort();
  running = new AbortController();
  const { signal } = running;
  const wanted = state.read();
  showState(wanted);
  showSkeletons();
  try {
    const answer = await ask(wanted, signal);
    if (!signal.aborted) showAnswer(wanted, answer.items);
  } catch (problem) {
    if (problem.name !== "AbortError") showProblem(problem);
  }
}

function ask(wanted, signal) {
  if (wanted.photo) return api.searchPhoto(wanted.photo, wanted, signal);
  if (wanted.like) return api.searchLike(wanted, signal);
  if (wanted.q) return api.searchWords(wanted, signal);
  return api.listImages(wanted, signal);
}

function showAnswer(wanted, items) {
  if (items.length > 0) {
    showItems(items, { open: (item) => openPhoto(item, moreLike), moreLike });
  } else if (isStart(wanted) && !(wanted.species || wanted.breed)) {
    showMessage(strings.noPhotosTitle, strings.noPhotosText, button(strings.addPhotos, pickUploads));
  } else {
    const filtered = wanted.species || wanted.breed;
    const clear = button(strings.clearFilters, () =>
      state.go({ ...wanted, species: "", breed: "" }),
    );
    showMessage(strings.emptyTitle, strings.emptyText, ...(filtered ? [clear] : []));
  }
}

const isStart = (wanted) => !(wanted.q || wanted.like || wanted.photo);

function showProblem(problem) {
  const retry = button(strings.retry, () => refresh());
  if (problem.needsKey) {
    showMessage(strings.signInTitle, strings.signInText, signInForm(refresh));
  } else if (problem.isOffline) {
    showMessage(strings.offlineTitle, strings.offlineText, retry);
  } else {
    const wait = problem.retryAfterS ? ` ${strings.retryAfter(problem.retryAfterS)}` : "";
    showMessage(strings.errorTitle, problem.message + wait, retry);
  }
}

function button(text, onclick) {
  return element("button", { type: "button", className: "primary", onclick }, text);
}

const moreLike = (item) =>
  state.go({ like: item.image_id, species: "", breed: "" });

// --- what is searched for, as the page shows it ---------------------------------------------

function showState(wanted) {
  byId("query").value = wanted.q;
  for (const name of ["species", "breed"]) keepOption(byId(name), wanted[name]);
  byId("heading").textContent = headingOf(wanted);
  document.title = wanted.q ? `${wanted.q} · petsearch` : "petsearch";
  showChip(wanted);
}

function headingOf(wanted) {
  if (wanted.photo) return strings.likePhoto;
  if (wanted.like) return strings.likeOne;
  return wanted.q ? strings.resultsFor(wanted.q) : strings.latest;
}

// The address may name a breed before the counts have come.
function keepOption(select, value) {
  if (value && ![...select.options].some((option) => option.value === value)) {
    select.add(new Option(value, value));
  }
  select.value = value;
}

function showChip(wanted) {
  if (photoUrl) URL.revokeObjectURL(photoUrl);
  photoUrl = wanted.photo ? URL.createObjectURL(wanted.photo) : null;
  byId("like").hidden = !(wanted.photo || wanted.like);
  if (wanted.photo) {
    byId("like-image").src = photoUrl;
    byId("like-text").textContent = strings.likeChip(wanted.photo.name);
  } else if (wanted.like) {
    byId("like-image").src = `/v1/images/${encodeURIComponent(wanted.like)}/thumbnail`;
    byId("like-text").textContent = strings.likeChip("this photo");
  }
}

// --- counts, filters, banner ----------------------------------------------------------------

async function showStats() {
  let stats;
  try {
    stats = await api.getStats();
  } catch {
    return; // the search beside it says what is wrong
  }
  const grew = knownCount !== null && stats.images !== knownCount;
  knownCount = stats.images;
  byId("counts").textContent = stats.seeding
    ? strings.seeding(stats.images, stats.seeding.total)
    : strings.counts(stats.images);
  fillSelect(byId("species"), stats.by_species, strings.anySpecies);
  fillSelect(byId("breed"), stats.by_breed, strings.anyBreed);
  byId("breeds").replaceChildren(
    ...Object.keys(stats.by_breed).map((breed) => element("option", { value: breed })),
  );
  showBanner(stats.sample);
  if (grew && isStart(state.read()) && !document.querySelector("dialog[open]")) search();
  if (stats.seeding) setTimeout(showStats, SEEDING_POLL_MS);
}

function fillSelect(select, counts, any) {
  const chosen = select.value || state.read()[select.name];
  const names = Object.keys(counts).sort();
  select.replaceChildren(
    new Option(any, ""),
    ...names.map((name) => new Option(strings.option(name, counts[name]), name)),
  );
  keepOption(select, chosen);
}

function showBanner(isSample) {
  const [text, folder, or, pets] = strings.sampleBanner;
  const banner = byId("banner");
  banner.hidden = !isSample;
  banner.replaceChildren(text, element("code", {}, folder), or, element("code", {}, pets));
}

// --- what people do -------------------------------------------------------------------------

function submit(changes = {}) {
  const before = state.read();
  const query = byId("query").value.trim();
  const keeps = query === before.q;
  state.go({
    q: query,
    like: keeps ? before.like : "",
    photo: keeps ? before.photo : null,
    species: byId("species").value,
    breed: byId("breed").value,
    ...changes,
  });
}

function takeFiles(files) {
  const photos = [...files];
  if (photos.length === 1) state.go({ photo: photos[0] });
  else if (photos.length > 1) startUpload(photos);
}

function startUpload(photos) {
  addPhotos(photos, () => refresh());
}

function pickUploads() {
  byId("upload-files").click();
}

function refresh() {
  showStats();
  search();
}

function onKey(event) {
  const typing = event.target.matches("input, select, textarea");
  if (event.key === "/" && !typing && !document.querySelector("dialog[open]")) {
    event.preventDefault();
    byId("query").focus();
    byId("query").select();
  } else {
    walkWithArrows(event);
  }
}

function watchDrops() {
  const drop = byId("drop");
  drop.textContent = strings.dropToSearch;
  const hasFiles = (event) => event.dataTransfer?.types.includes("Files");
  addEventListener("dragover", (event) => {
    if (!hasFiles(event)) return;
    event.preventDefault();
    drop.hidden = false;
  });
  addEventListener("dragleave", (event) => {
    if (event.relatedTarget === null) drop.hidden = true;
  });
  addEventListener("drop", (event) => {
    if (!hasFiles(event)) return;
    event.preventDefault();
    drop.hidden = true;
    takeFiles(event.dataTransfer.files);
  });
  addEventListener("paste", (event) => {
    if (event.clipboardData?.files.length) takeFiles(event.clipboardData.files);
  });
}

function onFilePicked(input, use) {
  input.addEventListener("change", () => {
    const files = [...input.files];
    input.value = "";
    if (files.length) use(files);
  });
}

byId("search").addEventListener("submit", (event) => {
  event.preventDefault();
  submit();
});
byId("species").addEventListener("change", () => submit({ breed: "" }));
byId("breed").addEventListener("change", () => submit());
byId("pick").addEventListener("click", () => byId("photo-file").click());
byId("add").addEventListener("click", pickUploads);
byId("home").addEventListener("click", (event) => {
  event.preventDefault();
  state.go({});
});
byId("like-remove").addEventListener("click", () => submit({ like: "", photo: null }));
byId("like-remove").ariaLabel = strings.removeChip;
onFilePicked(byId("photo-file"), ([file]) => state.go({ photo: file }));
onFilePicked(byId("upload-files"), startUpload);
addEventListener("popstate", search);
addEventListener("keydown", onKey);
watchDrops();
refresh();
