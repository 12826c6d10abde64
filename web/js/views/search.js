// The results of a search by words, photos and filters, loaded page by page while the user scrolls.
import { getImage } from "../api.js";
import { card, hasName, isJudged, nameOf } from "../card.js";
import { exampleChip, filterChips } from "../chips.js";
import { byId, button } from "../dom.js";
import * as filters from "../filters.js";
import { removeCard, replaceCard, showCards, showSkeletons } from "../grid.js";
import { inWords, message, problemMessage } from "../messages.js";
import { placeNow, scrollBack } from "../place.js";
import { addressOf } from "../query_photos.js";
import { showSharing } from "../share.js";
import { strings } from "../strings.js";
import {
  EMPTY, filtersGiven, format, go, isPhotoSearch, isSearch, replace, searchPart, withoutFilters,
} from "../url_state.js";
import { PhotoIsElsewhere, Walk } from "../walk.js";

const said = strings.results;
const MOST_WALKS = 6;
const MOST_EXAMPLES = 10;
const walks = new Map();

let state = EMPTY;
let walk = null;
let loading = null;
let isStale = false;
let pickPhoto = () => undefined;

const nearEnd = new IntersectionObserver(
  (entries) => entries.at(-1).isIntersecting && loadMore(),
  { rootMargin: "1200px" },
);

export function connect({ onPickPhoto }) {
  pickPhoto = onPickPhoto;
  filters.connect((changed) => go({ ...state, ...changed }));
  byId("filters-clear").addEventListener("click", () => go(withoutFilters(state)));
  byId("more").addEventListener("click", loadMore);
}

export const current = () => state;
export const around = (imageId) => walk?.around(imageId) ?? { previous: null, next: null };
export const resultOf = (imageId) => walk?.items.find((item) => item.image_id === imageId) ?? null;

export const showFilters = () => filters.show(state);

// Removes a deleted photo from every list without reloading the lists.
export function forgetPhoto(imageId) {
  for (const one of walks.values()) one.forget(imageId);
  removeCard(byId("results"), imageId);
  if (walk?.answer && !walk.items.length) isStale = true;
  else if (walk?.answer) say(said.found(walk.items.length, !walk.isAtEnd));
  showFilters();
}

// Updates an edited photo in the current list. Other lists load again: it may have joined or left them.
export function renewPhoto(image) {
  for (const [key, one] of walks) if (one !== walk) walks.delete(key);
  const item = walk?.renew(image);
  if (item) replaceCard(byId("results"), card(item, cardActions()));
  showFilters();
}

// The current list stays until it is shown the next time.
export function forgetWalks() {
  walks.clear();
  isStale = true;
}

export function forgetShown() {
  walks.delete(keyOf(state));
  isStale = true;
}

// Resolves once the first photos, or what is shown instead, are there.
export async function show(wanted) {
  const part = searchPart(wanted);
  const key = keyOf(part);
  document.title = titleOf(part);
  if (walk?.answer && !isStale && key === keyOf(state)) {
    return scrollBack(walk.place);
  }
  state = { ...EMPTY, ...part };
  // Without a query there is nothing to be unlike, and there are no scores.
  if (!isSearch(state) && (state.not.length || state.min || state.least)) {
    return replace({ ...state, not: [], min: "", least: "" });
  }
  isStale = false;
  showQuestion();
  walk = walks.get(key) ?? keepWalk(key, new Walk(state));
  loading?.abort();
  if (walk.items.length) return showFound(0, walk.place);
  return search();
}

export function hide(nextView) {
  if (nextView !== "search") filters.hide();
  if (walk) walk.place = placeNow();
}

const keyOf = (part) => format({ ...EMPTY, ...searchPart(part) });

function keepWalk(key, fresh) {
  walks.set(key, fresh);
  for (const old of [...walks.keys()].slice(0, -MOST_WALKS)) walks.delete(old);
  return fresh;
}

// --- the query ----------------------------------------------------------------

function showQuestion() {
  const query = byId("query");
  query.value = state.q;
  query.placeholder = isPhotoSearch(state) ? strings.page.exampleBeside : strings.page.example;
  byId("heading").textContent = headingOf(state);
  filters.show(state);
  showChips();
  showSharing(state);
}

function headingOf({ q, like, by, shared, sort }) {
  const photo = by ? said.likePhoto : shared ? said.likeShared : like.length ? said.likeOne(like.length) : "";
  if (photo) return q ? said.but(photo, q) : photo;
  if (q) return said.forWords(q);
  return sort === "taken_at" ? said.taken : said.latest;
}

const titleOf = (part) =>
  isSearch(part) ? strings.titles.results(headingOf(part)) : strings.titles.search;

async function showChips() {
  const asked = state;
  const remove = (name) => go({ ...state, [name]: "" });
  const show = (examples) => byId("chips").replaceChildren(...examples, ...filterChips(asked, remove));
  show([]);
  const examples = await Promise.all([
    asked.by ? chipOfPhoto(asked.by) : null,
    asked.shared ? exampleChip("like", strings.share.photo, null, () => remove("shared")) : null,
    ...asked.like.map((id) => chipOfImage("like", id)),
    ...asked.not.map((id) => chipOfImage("unlike", id)),
  ]);
  if (asked === state) show(examples.filter(Boolean));
}

async function chipOfPhoto(token) {
  const photo = await addressOf(token);
  return photo && exampleChip("like", photo.name || said.yourPhoto, photo.url, () => go({ ...state, by: "" }));
}

async function chipOfImage(kind, id) {
  const known = walk?.items.find((item) => item.image_id === id);
  const item = known ?? (await getImage(id).catch(() => ({ image: null }))).image;
  const part = kind === "like" ? "like" : "not";
  const without = () => go({ ...state, [part]: state[part].filter((other) => other !== id) });
  const name = item && hasName(item) ? nameOf(item) : said.thisPhoto;
  return exampleChip(kind, name, item?.urls.thumbnail, without);
}

// --- the response -------------------------------------------------------------

async function search() {
  showSkeletons(byId("results"));
  byId("message").replaceChildren();
  byId("note").replaceChildren();
  offerMore("");
  say(said.searching);
  scrollTo(0, 0);
  await load((from) => showFound(from), (error) => showFailure(error));
}

export async function loadMore() {
  if (!walk || walk.isAtEnd || byId("results").hasAttribute("aria-busy")) return;
  byId("results").setAttribute("aria-busy", "true");
  offerMore(said.loadingMore);
  await load((from) => showFound(from), (error) => showFailureBelow(error));
}

async function load(onFound, onFailure) {
  const mine = walk;
  loading?.abort();
  loading = new AbortController();
  try {
    const from = await mine.goOn(loading.signal);
    if (mine === walk) onFound(from);
  } catch (error) {
    if (error.name !== "AbortError" && mine === walk) onFailure(error);
  }
}

function showFound(from, place = null) {
  const { items } = walk;
  byId("message").replaceChildren();
  if (!items.length) return showEmpty();
  showCards(byId("results"), items, { actions: cardActions(), from });
  showNote();
  say(said.found(items.length, !walk.isAtEnd));
  if (place) scrollBack(place);
  if (!walk.isAtEnd) return offerMore(said.more, true);
  return offerMore("", false, isSearch(state) && items.length >= 1000 ? said.endOfWalk(items.length) : said.end(items.length));
}

function showNote() {
  const isRankedOnly = isSearch(state) && !walk.items.some(isJudged);
  byId("least-field").hidden = !isSearch(state) || isRankedOnly; // There is nothing to choose by.
  const { no_good_match: isBad, searched_for: corrected, predictions_calibrated: isCalibrated } = walk.answer;
  const isGuessing = isCalibrated === false;
  const parts = [];
  if (corrected && corrected !== state.q) parts.push(said.searchedFor(corrected));
  if (isBad) parts.push(strings.empty.noMatchShown);
  else if (isRankedOnly) parts.push(said.rankedOnly);
  if (walk.answer.hint === "english_only") parts.push(said.englishOnly);
  if (isGuessing) parts.push(said.notCalibrated);
  const note = byId("note");
  note.replaceChildren(parts.join(" "));
  note.classList.toggle("warn", Boolean(isBad));
}

function showEmpty() {
  const said = strings.empty;
  const filtered = filtersGiven(state).length > 0;
  const clear = filtered ? button("primary", strings.filters.clear, () => go(withoutFilters(state))) : null;
  const add = button("primary", strings.add.title, () => go({ ...EMPTY, page: "add" }));
  if (state.least) showInstead(message(said.noMatch, said.noMatchText, clear));
  else if (filtered) showInstead(message(said.noneUnder, whyNone(), clear));
  else showInstead(message(said.noPhotos, said.noPhotosText, add));
}

// Names that neither the model nor any photo has, and names like them.
function whyNone() {
  const said = strings.empty;
  const parts = (walk.answer.unknown ?? []).flatMap(({ field, value, did_you_mean: meant }) => (
    [said.unknown(field, value), ...(meant ? [said.didYouMean(meant)] : [])]
  ));
  return parts.join(" ") || said.noneUnderText;
}

function showFailure(error) {
  const said = strings.empty;
  if (error instanceof PhotoIsElsewhere) {
    const choose = button("primary", said.choosePhoto, pickPhoto);
    return showInstead(message(said.photoGone, said.photoGoneText, choose));
  }
  if (error.status === 422 && state.by) {
    const choose = button("primary", said.choosePhoto, pickPhoto);
    const { notPicture, notPictureText } = strings.problems;
    return showInstead(message(notPicture, notPictureText(error.message), choose));
  }
  return showInstead(problemMessage(error, search));
}

function showInstead(shown) {
  const grid = byId("results");
  grid.removeAttribute("aria-busy");
  grid.replaceChildren();
  offerMore("");
  byId("note").replaceChildren();
  byId("message").replaceChildren(shown);
  say(shown.textContent);
}

function showFailureBelow(error) {
  byId("results").removeAttribute("aria-busy");
  if (error.status === 409) {
    // The model changed: scores of two models cannot be mixed, and no list can go on where it stood.
    forgetWalks();
    return byId("search-view").hidden ? undefined : show(state);
  }
  offerMore(strings.retry, false, problemText(error));
  return undefined;
}

const problemText = (error) =>
  error.isOffline ? strings.problems.offline : `${strings.problems.title}: ${inWords(error)}`;

function offerMore(text, isAuto = false, note = "") {
  const more = byId("more");
  more.hidden = !text;
  more.textContent = text;
  byId("end").textContent = note;
  // The end may still be in view. An observer reports only changes, so observing again makes it report now.
  nearEnd.disconnect();
  if (isAuto) nearEnd.observe(byId("more-place"));
}

const cardActions = () => ({
  like: moreLike,
  unlike: isSearch(state) ? lessLike : null,
  search: isPhotoSearch(state) ? state : undefined,
});

const say = (text) => { byId("status").textContent = text; };

function moreLike(item) {
  go({ ...state, ...moved(item, { from: "not", to: "like" }), sort: "" });
}

function lessLike(item) {
  go({ ...state, ...moved(item, { from: "like", to: "not" }) });
}

// The examples with one more; words, the photo and earlier examples stay.
const moved = ({ image_id: id }, { from, to }) => ({
  [from]: state[from].filter((other) => other !== id),
  [to]: [...new Set([...state[to], id])].slice(-MOST_EXAMPLES),
});
