// One photo: large, with its details, similar photos and actions.
import { deleteImage, findPhotos, getDuplicatesOf, getImage, getSimilar } from "../api.js";
import { card, nameOf, thumbnailLink } from "../card.js";
import { byId, element } from "../dom.js";
import { icon } from "../icons.js";
import { confirmed, inWords, problemMessage, toast } from "../messages.js";
import { editForm } from "../photo_edit.js";
import { factsOf } from "../photo_facts.js";
import { may } from "../session.js";
import { strings } from "../strings.js";
import { EMPTY, go, leave, replace } from "../url_state.js";
import { around, current, forgetPhoto, renewPhoto } from "./search.js";

const said = strings.photo;
const SIMILAR = 12;
let loading = null;
let shown = null;

export function hide() {
  loading?.abort();
  shown = null;
}

export async function show({ photo }) {
  loading?.abort();
  loading = new AbortController();
  const { signal } = loading;
  const place = byId("photo-view");
  if (shown !== photo) place.replaceChildren(element("p.loading", {}, strings.loading));
  shown = photo;
  scrollTo(0, 0);
  try {
    const found = await getImage(photo, signal);
    document.title = strings.titles.photo(nameOf(found.image));
    render(found, signal);
  } catch (error) {
    if (error.name !== "AbortError") {
      place.replaceChildren(bar(photo), problemMessage(error, () => show({ photo })));
    }
  }
}

const backToResults = () => leave(current());

// Esc goes back, arrow keys step through the results. Returns whether the key was handled.
export function onKey(event) {
  const target = { ArrowLeft: "previous", ArrowRight: "next" }[event.key];
  if (event.key === "Escape") backToResults();
  else if (target && around(shown)[target]) step(around(shown)[target]);
  else return false;
  event.preventDefault();
  return true;
}

const step = (id) => replace({ ...EMPTY, photo: id });

function bar(id) {
  const { previous, next } = around(id);
  const arrow = (look, label, target) =>
    element("button.quiet.round", { type: "button", "aria-label": label, title: label, disabled: !target,
      onclick: () => step(target) }, icon(look));
  const back = element("button.quiet", { type: "button", onclick: backToResults }, icon("back"), said.back);
  return element("div.photo-bar", {}, back,
    ...(previous || next ? [element("span.steps", {}, arrow("back", said.previous, previous), arrow("next", said.next, next))] : []));
}

function render({ image, etag }, signal) {
  const panel = element("div.panel", {});
  const showFacts = () => panel.replaceChildren(facts(image, showEdit));
  const showEdit = () => panel.replaceChildren(editForm(image, etag, {
    onSaved: (changed) => {
      renewPhoto(changed.image);
      toast(strings.edit.saved);
      if (shown !== image.image_id) return;
      render(changed, signal);
      focusHeading();
    },
    onCancel: () => {
      showFacts();
      focusHeading();
    },
    onReload: () => show({ photo: image.image_id }),
  }));
  showFacts();
  const similar = strip("similar", said.similar);
  const copies = strip("copies", said.duplicates);
  const animal = strip("animal", said.sameAnimal);
  byId("photo-view").replaceChildren(
    bar(image.image_id),
    element("div.photo-main", {}, element("div.large", {}, large(image)), panel),
    copies, animal, similar,
  );
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
      image.status ? element("bdi.badge", {}, image.status) : null),
    element("div.actions", {},
      action("primary", "more", said.more, () => go({ ...EMPTY, like: image.image_id })),
      may("ingest") ? action("quiet", "edit", said.edit, onEdit) : null,
      action("quiet", "share", said.share, share),
      may("search") ? download(image) : null,
      may("delete") ? action("quiet", "bin", said.remove, () => remove(image)) : null),
    factsOf(image));
}

const action = (kind, look, text, onclick) =>
  element(`button.${kind}`, { type: "button", onclick }, icon(look), text);

const download = (image) =>
  element("a.quiet.button", { href: image.urls.original, download: "" }, icon("download"), said.download);

async function share() {
  try {
    if (navigator.share) await navigator.share({ url: location.href });
    else {
      await navigator.clipboard.writeText(location.href);
      toast(said.shared);
    }
  } catch (error) {
    if (error.name !== "AbortError") toast(location.href); // The clipboard is not available: show the link to copy.
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
  const best = Math.max(0.001, ...items.map((item) => item.score ?? 0));
  section.querySelector("ul").replaceChildren(...items.map((item) =>
    (item.score === undefined ? element("li.card.small", {}, thumbnailLink(item)) : card(item, best))));
  section.hidden = false;
}
