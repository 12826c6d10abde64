// One photo: large, or beside the photo that was searched by; its details, similar photos and actions.
import { deleteImage, findPhotos, getDuplicatesOf, getImage, getSimilar } from "../api.js";
import { card, nameOf, thumbnailLink } from "../card.js";
import { comparison, exampleOf } from "../compare.js";
import { byId, element } from "../dom.js";
import { icon } from "../icons.js";
import { confirmed, inWords, problemMessage, toast } from "../messages.js";
import { dropDraft, editForm, hasDraft } from "../photo_edit.js";
import { factsOf } from "../photo_facts.js";
import { may } from "../session.js";
import { strings } from "../strings.js";
import { EMPTY, format, go, isPhotoSearch, leave, replace, searchPart } from "../url_state.js";
import { around, current, forgetPhoto, loadMore, renewPhoto, resultOf } from "./search.js";

const said = strings.photo;
const SIMILAR = 12;
let loading = null;
let shown = null;
let last = null;
let search = EMPTY; // The search by photo whose result it is.
let chosenExample = null;
let beside = null;

// The photo that was shown last: its card gets the focus again.
export const lastShown = () => last;

// A photo stays while the next one loads.
export function hide(nextView) {
  loading?.abort();
  if (nextView === "photo") return;
  shown = null;
  beside = null;
}

export async function show(state) {
  const { photo } = state;
  loading?.abort();
  loading = new AbortController();
  const { signal } = loading;
  const place = byId("photo-view");
  if (!shown) place.replaceChildren(...skeleton(isPhotoSearch(state)));
  shown = photo;
  last = photo;
  search = isPhotoSearch(state) ? { ...EMPTY, ...searchPart(state) } : EMPTY;
  scrollTo(0, 0);
  try {
    const [found, example] = await Promise.all([getImage(photo, signal), exampleOf(search, chosenExample, signal)]);
    document.title = (example ? strings.titles.compare : strings.titles.photo)(nameOf(found.image));
    render(found, signal, { example });
  } catch (error) {
    if (error.name !== "AbortError") {
      place.replaceChildren(bar(photo), problemMessage(error, () => show(state)));
    }
  }
}

// Of the same sizes as what follows, so that little moves.
const skeleton = (isPair) => [
  element("p.visually-hidden", {}, strings.loading),
  element("div.photo-bar", {}, element("span.bone", {})),
  ...(isPair ? [element("div.pair.bones", {}, element("div.pane.bone"), element("div.pane.bone"))] : []),
  element("div.photo-main", {}, element("div.large.bone"), element("div.panel.bone")),
];

const backToResults = () => leave(isPhotoSearch(search) ? search : current());

// Esc goes back, arrow keys step through the results, others zoom. Returns whether the key was handled.
export function onKey(event) {
  if (beside?.onKey(event)) {
    event.preventDefault();
    return true;
  }
  const target = { ArrowLeft: "previous", ArrowRight: "next" }[event.key];
  if (event.key === "Escape") backToResults();
  else if (target && around(shown)[target]) step(around(shown)[target]);
  else return false;
  event.preventDefault();
  return true;
}

const step = (id) => replace({ ...search, photo: id });

const swipe = (way) => {
  const target = around(shown)[way > 0 ? "next" : "previous"];
  if (target) step(target);
};

function bar(id) {
  const { previous, next } = around(id);
  const arrow = (look, label, target) =>
    element("button.quiet.round", { type: "button", "aria-label": label, title: label, disabled: !target,
      "data-keep": look, onclick: () => step(target) }, icon(look));
  const back = element("button.quiet", { type: "button", onclick: backToResults }, icon("back"), said.back);
  return element("div.photo-bar", {}, back,
    ...(previous || next ? [element("span.steps", {}, arrow("back", said.previous, previous), arrow("next", said.next, next))] : []));
}

// Gives the focus to the successor of the element that had it, if a part of the page is replaced.
function keepingFocus(replacePart) {
  const place = byId("photo-view");
  const had = document.activeElement;
  const { keep } = had.dataset;
  const wasInside = place.contains(had);
  replacePart();
  if (!wasInside || place.contains(had)) return;
  const successor = keep && place.querySelector(`[data-keep="${keep}"]:enabled`);
  (successor || byId("main")).focus({ preventScroll: true });
}

// The next photo may be on the next page of the results.
async function goOnLoading(id) {
  await loadMore();
  const { next } = around(id);
  if (next && shown === id) keepingFocus(() => byId("photo-view").querySelector(".photo-bar").replaceWith(bar(id)));
}

function render({ image, etag }, signal, { example, isMerged = false }) {
  const panel = element("div.panel", {});
  const showFacts = () => panel.replaceChildren(facts(image, showEdit));
  const showEdit = () => panel.replaceChildren(editForm(image, etag, {
    isMerged,
    onSaved: (changed) => {
      renewPhoto(changed.image);
      toast(strings.edit.saved);
      if (shown !== image.image_id) return;
      render(changed, signal, { example });
      focusHeading();
    },
    onCancel: () => {
      showFacts();
      focusHeading();
    },
    onOutdated: async () => {
      const now = await getImage(image.image_id, signal);
      render(now, signal, { example, isMerged: true });
    },
  }));
  if (isMerged) showEdit();
  else showFacts();
  addEventListener("session-changed", () => panel.querySelector("form") || keepingFocus(showFacts), { signal });
  const similar = strip("similar", said.similar);
  const copies = strip("copies", said.duplicates);
  const animal = strip("animal", said.sameAnimal);
  const onChoose = (key) => {
    chosenExample = key;
    show({ ...search, photo: image.image_id });
  };
  beside = example && comparison(image, resultOf(image.image_id), example, { onSwipe: swipe, onChoose });
  keepingFocus(() => byId("photo-view").replaceChildren(
    bar(image.image_id), ...(beside ? [beside.stage] : []),
    element("div.photo-main", {}, beside ? beside.table : element("div.large", {}, large(image)), panel),
    copies, animal, similar,
  ));
  if (!around(image.image_id).next) goOnLoading(image.image_id);
  fillStrip(similar, getSimilar(image.image_id, SIMILAR, signal), (answer) => answer.items);
  if (image.animal_id) {
    const others = (answer) => answer.items.filter((item) => item.image_id !== image.image_id);
    fillStrip(animal, findPhotos({ ...EMPTY, animal: image.animal_id }, { limit: SIMILAR, signal }), others);
  }
  // Duplicates require the scope search; they are hidden where only pictures are public.
  fillStrip(copies, getDuplicatesOf(image.image_id, signal), (answer) => answer.items);
}

// The form that had the focus is gone.
const focusHeading = () => byId("photo-view").querySelector("h1").focus({ preventScroll: true });

const large = (image) =>
  element("img", { src: image.urls.display, alt: strings.card.open(nameOf(image), image.status),
    width: image.width, height: image.height, fetchPriority: "high" });

function facts(image, onEdit) {
  return element("div", {},
    element("h1", { tabIndex: -1 }, element("bdi", {}, nameOf(image)),
      image.status ? element("bdi.badge", { "data-status": image.status }, image.status) : null),
    element("div.actions", {},
      action("primary", "more", said.more, () => go({ ...EMPTY, like: [image.image_id] })),
      may("ingest") ? action("quiet", "edit", hasDraft(image.image_id) ? strings.edit.unsaved : said.edit, onEdit) : null,
      action("quiet", "share", said.share, () => share(image)),
      may("places") ? download(image) : null,
      may("delete") ? action("quiet", "bin", said.remove, () => remove(image)) : null),
    factsOf(image));
}

const action = (kind, look, text, onclick) =>
  element(`button.${kind}`, { type: "button", "data-keep": look, onclick }, icon(look), text);

const download = (image) =>
  element("a.quiet.button", { href: image.urls.original, download: "" }, icon("download"), said.download);

// Without the search: the photo that was searched by is only in this browser.
async function share(image) {
  const url = new URL(format({ ...EMPTY, photo: image.image_id }), location.href).href;
  try {
    if (navigator.share) await navigator.share({ url });
    else {
      await navigator.clipboard.writeText(url);
      toast(said.shared);
    }
  } catch (error) {
    if (error.name !== "AbortError") toast(url); // The clipboard is not available: show the link to copy.
  }
}

async function remove(image) {
  const name = image.filename || image.image_id;
  const sure = await confirmed({ title: said.removeTitle, text: said.removeText(name), yes: said.remove, no: said.keep });
  if (!sure) return;
  try {
    await deleteImage(image.image_id);
  } catch (error) {
    toast(inWords(error));
    return;
  }
  dropDraft(image.image_id);
  forgetPhoto(image.image_id);
  dispatchEvent(new Event("photo-deleted"));
  toast(said.removed);
  if (shown === image.image_id) backToResults();
}

// --- rows of other photos -------------------------------------------------------

function strip(kind, title) {
  return element(`section.strip.${kind}`, { hidden: true, "aria-label": title },
    element("h2", {}, title), element("ul.grid.row"));
}

async function fillStrip(section, asked, itemsOf) {
  const items = await asked.then(itemsOf, () => []);
  if (!items.length) return;
  section.querySelector("ul").replaceChildren(...items.map((item) =>
    (item.score === undefined ? element("li.card.small", {}, thumbnailLink(item)) : card(item))));
  section.hidden = false;
}
