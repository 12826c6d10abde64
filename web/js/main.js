// Starts the page: shows the view that the URL names, and sets up what all views share.
import { getStats } from "./api.js";
import * as combobox from "./combobox.js";
import { byId, element } from "./dom.js";
import { isPhoto, kindOfSource, onPicked, watchDrops } from "./files.js";
import { actByKey, walkWithArrows } from "./grid.js";
import { fillIcons } from "./icons.js";
import { confirmed, showKeys } from "./messages.js";
import { remember } from "./recent.js";
import { readSession } from "./session.js";
import * as share from "./share.js";
import { strings } from "./strings.js";
import { fillTexts } from "./texts.js";
import { go, onChange, parse, read, viewOf } from "./url_state.js";
import * as search from "./views/search.js";

const views = { search };
const SEEDING_POLL_MS = 3000;
const SESSION_RETRY_MS = 5000;
let shownView = null;
let others = null; // other_views.js, once it is there
let fetchingOthers = null;

// Shows the view of a state. Resolves once a search has its first photos.
async function show(state) {
  const name = viewOf(state);
  share.markUnlisted(state);
  if (!views[name]) {
    await needOthers();
    if (viewOf(read()) !== name) return undefined;
  }
  if (shownView) views[shownView].hide?.(name);
  byId("dialog").close(); // It was about what was shown.
  combobox.close();
  for (const view of document.querySelectorAll(".view")) view.hidden = view.id !== `${name}-view`;
  for (const link of document.querySelectorAll("nav [data-view]")) {
    const isHere = link.dataset.view === (name === "job" ? "add" : name);
    if (isHere) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  const isFirst = shownView === null;
  const moved = shownView !== name;
  const lastPhoto = shownView === "photo" ? views.photo.lastShown() : null;
  shownView = name;
  const showing = views[name].show(state);
  // A new view moves the focus to its top, for screen readers and keyboards; so does one whose focused
  // element was replaced.
  const isLost = document.activeElement === document.body;
  if (!(moved || isLost) || isFirst) return showing;
  const back = name === "search" && lastPhoto && byId("results").querySelector(`[data-id="${CSS.escape(lastPhoto)}"] .open`);
  (back || byId("main")).focus({ preventScroll: true });
  return showing;
}

function fetchOthers() {
  fetchingOthers ??= import("./other_views.js").then((module) => {
    others = module;
    Object.assign(views, module.views);
    dispatchEvent(new Event("page-complete"));
  });
  return fetchingOthers;
}

// Some browsers never ask again for a module that failed: reload.js loads the page again.
async function needOthers() {
  try {
    await fetchOthers();
  } catch {
    dispatchEvent(new Event("file-missing"));
    await new Promise(() => {});
  }
}

// --- searching ------------------------------------------------------------------

function submit() {
  combobox.close();
  const q = byId("query").value.trim();
  remember(q);
  go({ ...search.current(), q, page: "", photo: "" });
}

async function searchByPhoto(file) {
  await needOthers();
  others.openPhotoDialog(file, search.current());
}

async function takeFiles(files) {
  const [first] = files;
  // One photo starts a search; it is added to the catalogue only on the page for adding photos.
  const isQuery = files.length === 1 && viewOf(read()) !== "add" && !kindOfSource(first) && isPhoto(first);
  if (isQuery) return searchByPhoto(first);
  const { askTitle, askText, askYes, askNo } = strings.drop;
  const isAsked = viewOf(read()) !== "add";
  const ask = () => confirmed({ title: askTitle(files.length), text: askText, yes: askYes, no: askNo, look: "primary" });
  if (isAsked && !(await ask())) return undefined;
  await needOthers();
  others.addFiles(files);
  return undefined;
}

// --- what all views share ---------------------------------------------------------

// Links within the page change the view, unless they open elsewhere.
function onLink(event) {
  const link = event.target.closest?.("a[href]");
  const isPlain = event.button === 0 && !event.metaKey && !event.ctrlKey && !event.shiftKey && !event.altKey;
  if (!link || !isPlain || link.hasAttribute("download") || link.origin !== location.origin) return;
  if (link.pathname !== location.pathname || link.hash) return;
  event.preventDefault();
  go(parse(link.search));
}

function onKey(event) {
  if (document.querySelector("dialog[open]")) return;
  const typing = event.target.matches("input, select, textarea");
  if (event.key === "/" && !typing && !event.ctrlKey && !event.metaKey) {
    event.preventDefault();
    if (shownView !== "search") go(search.current());
    byId("query").focus();
    byId("query").select();
  } else if (event.key === "?" && !typing) {
    showKeys();
  } else if (!typing && !event.altKey && !event.metaKey && !event.ctrlKey && !walkWithArrows(event) && !actByKey(event)) {
    views[shownView]?.onKey?.(event);
  }
}

async function showCatalogue() {
  const place = byId("catalogue");
  let stats;
  try {
    stats = await getStats();
  } catch {
    return; // The results show the error.
  }
  const counts = Object.entries({ ...stats.by_breed, ...stats.by_species });
  combobox.setBreeds(counts.filter(([, count]) => count > 0).map(([name]) => name));
  if (stats.seeding) {
    place.textContent = strings.catalogue.seeding(stats.seeding.done, stats.seeding.total);
    setTimeout(showCatalogue, SEEDING_POLL_MS);
  } else if (stats.sample) {
    const [text, command] = strings.catalogue.drawings(stats.images);
    place.replaceChildren(text, element("code", {}, command));
  } else {
    const { photos, drop, touch } = strings.catalogue;
    place.replaceChildren(photos(stats.images), element("span.not-touch", {}, drop), element("span.only-touch", {}, touch));
  }
}

// If the server is down, or was asked too often, the views say so.
function showSession() {
  readSession().catch(() => setTimeout(showSession, SESSION_RETRY_MS));
}

function connect() {
  fillTexts(document);
  fillIcons(document);
  history.scrollRestoration = "manual";
  combobox.connect(submit);
  const pick = () => byId("photo-file").click();
  search.connect({ onPickPhoto: pick });
  share.connect();
  byId("search").addEventListener("submit", (event) => {
    event.preventDefault();
    submit();
  });
  byId("pick").addEventListener("click", pick);
  byId("shoot").addEventListener("click", () => byId("photo-camera").click());
  onPicked(byId("photo-file"), ([file]) => searchByPhoto(file));
  onPicked(byId("photo-camera"), ([file]) => searchByPhoto(file));
  const hint = () => (viewOf(read()) === "search" ? strings.drop.search : strings.drop.add);
  watchDrops(byId("drop"), { hint, onFiles: takeFiles });
  document.addEventListener("click", onLink);
  document.addEventListener("keydown", onKey);
  const startAgain = () => {
    search.forgetWalks();
    showCatalogue();
  };
  addEventListener("photos-changed", startAgain);
  addEventListener("photo-deleted", showCatalogue);
  addEventListener("signed-in", () => {
    startAgain();
    search.showFilters();
  });
  addEventListener("asked-again", () => {
    if (shownView === "search") search.forgetShown();
    show(read());
  });
  // Files that were not uploaded yet would be lost: the browser asks before it closes the page.
  addEventListener("beforeunload", (event) => {
    if (others?.isUnsaved()) event.preventDefault();
  });
  onChange(show);
}

async function fetchOthersAfterPhotos(showing) {
  await showing;
  const photos = [...byId("results").querySelectorAll("img")];
  const inView = photos.filter((photo) => photo.getBoundingClientRect().top < innerHeight);
  await Promise.allSettled(inView.map((photo) => photo.decode()));
  await fetchOthers().catch(() => undefined); // Whoever needs them sees to it.
}

connect();
fetchOthersAfterPhotos(show(read()));
showCatalogue();
showSession();
