// The form that edits a photo's details; only changed fields are sent.
import { changeImage } from "./api.js";
import { button, element, field } from "./dom.js";
import { inWords, toast } from "./messages.js";
import { openSignIn } from "./session.js";
import { strings } from "./strings.js";

const said = strings.edit;

class BadInput extends Error {}

// Changes that are not saved yet, by photo: what was typed, and the text it replaced. They outlast
// the form, so Esc, another page of the app and someone else's change lose nothing.
const drafts = new Map();

// Fields that hold several entries: how these are written, and the parts that such a text has. An
// entry that the API took may have several parts itself: a tag with a comma, a fact of two lines.
const LISTS = {
  tags: { separator: ", ", split: (text) => trimmed(text.replace(/[\r\n]/g, "").split(",")) },
  attributes: { separator: "\n", split: (text) => trimmed(text.split(/\r\n?|\n/)) },
};
const trimmed = (parts) => parts.map((part) => part.trim()).filter(Boolean);

export const hasDraft = (id) => drafts.has(id);
export const hasDrafts = () => drafts.size > 0;
export const dropDraft = (id) => drafts.delete(id);
addEventListener("signed-out", () => drafts.clear());

// Fills in what was typed before; returns the names of the fields that someone else changed, too.
function takeUp(draft, before, inputs) {
  const both = [];
  for (const [name, { text, was }] of Object.entries(draft)) {
    const isList = name in LISTS;
    inputs[name].value = isList ? merged(was, text, before[name], LISTS[name]) : text;
    if (!isList && was !== before[name] && text !== before[name]) both.push(labelOf[name]);
  }
  return both;
}

// What is there now, without what was taken out of `was` and with what was added to it.
function merged(was, text, now, { separator, split }) {
  const [old, mine, theirs] = [was, text, now].map(split);
  const kept = theirs.filter((one) => mine.includes(one) || !old.includes(one));
  return [...kept, ...mine.filter((one) => !old.includes(one) && !kept.includes(one))].join(separator);
}

function keepDraft(id, before, inputs) {
  const changed = Object.entries(inputs).filter(([name, input]) => input.value.trim() !== before[name].trim());
  const draft = changed.map(([name, input]) => [name, { text: input.value, was: before[name] }]);
  if (draft.length) drafts.set(id, Object.fromEntries(draft));
  else drafts.delete(id);
}

export function editForm(image, etag, { isMerged, onSaved, onCancel, onOutdated }) {
  const id = image.image_id;
  const inputs = inputsOf(textsOf(image));
  const before = valuesOf(inputs); // As the browser writes them.
  const draft = drafts.get(id) ?? {};
  const both = takeUp(draft, before, inputs);
  const isOutdated = isMerged || Object.entries(draft).some(([name, { was }]) => was !== before[name]);
  const bad = element("p.bad", { role: "alert" });
  if (isOutdated) bad.append(said.merged, both.length ? ` ${said.mergedOver(both.join(", "))}` : "");
  const save = async (event) => {
    event.preventDefault();
    bad.replaceChildren();
    form.inert = true; // Input during the save would be lost.
    try {
      const saved = await changeImage(id, changesOf(image, before, inputs), etag);
      drafts.delete(id);
      onSaved(saved);
    } catch (error) {
      form.inert = false;
      submit.focus();
      if (error instanceof BadInput) bad.textContent = error.message;
      else if (error.needsKey) openSignIn(() => form.requestSubmit());
      else if (error.status === 412) await onOutdated().catch((problem) => { bad.textContent = inWords(problem); });
      else bad.textContent = inWords(error);
    }
  };
  const submit = element("button.primary", { type: "submit" }, said.save);
  const close = () => {
    if (hasDraft(id)) toast(said.kept);
    onCancel();
  };
  const form = element("form.edit", { onsubmit: save, onkeydown: escTo(close), oninput: () => keepDraft(id, before, inputs) },
    element("h1", {}, said.title),
    ...fieldsOf(inputs),
    bad,
    element("div.actions", {}, submit, button("quiet", strings.cancel, () => {
      drafts.delete(id);
      onCancel();
    })));
  queueMicrotask(() => inputs.breed.focus());
  return form;
}

const escTo = (act) => (event) => {
  if (event.key !== "Escape") return;
  event.stopPropagation();
  act();
};

const labelOf = {
  breed: said.breed, species: said.species, status: said.status, animal_id: said.animal, tags: said.tags,
  taken_day: said.taken, taken_time: said.takenTime, location: said.place, attributes: said.attributes,
};

function fieldsOf(inputs) {
  return [
    field(said.breed, inputs.breed, said.breedHint),
    field(said.species, inputs.species),
    field(said.status, inputs.status, said.statusHint),
    field(said.animal, inputs.animal_id, said.animalHint),
    field(said.tags, inputs.tags, said.tagsHint),
    field(said.taken, inputs.taken_day),
    field(said.takenTime, inputs.taken_time, said.takenTimeHint),
    field(said.place, inputs.location, said.placeHint),
    field(said.attributes, inputs.attributes, said.attributesHint),
  ];
}

// Every field as the text in its input.
function textsOf(image) {
  return {
    breed: image.breed_source === "label" ? image.breed : "",
    species: image.species_source === "stated" ? image.species : "",
    status: image.status ?? "",
    animal_id: image.animal_id ?? "",
    tags: image.tags.join(LISTS.tags.separator),
    ...takenOf(image),
    location: image.location ? `${image.location.lat}, ${image.location.lon}` : "",
    attributes: Object.entries(image.attributes).map(lineOf).join(LISTS.attributes.separator),
  };
}

const lineOf = ([name, value]) => `${name} = ${value}`;

// As it is written, but an instant in the zone of whoever edits it.
function takenOf({ taken_at: text, taken_at_precision: precision }) {
  if (!text) return { taken_day: "", taken_time: "" };
  const written = precision === "instant" ? localTime(new Date(text)) : text;
  return { taken_day: written.slice(0, 10), taken_time: precision === "day" ? "" : written.slice(11, 19) };
}

const localTime = (date) => new Date(date - date.getTimezoneOffset() * 60_000).toISOString();
const valuesOf = (inputs) => Object.fromEntries(Object.entries(inputs).map(([name, { value }]) => [name, value]));

function inputsOf(texts) {
  const text = (name, more) =>
    element("input", { type: "text", name, value: texts[name], maxLength: 200, autocomplete: "off", ...more });
  return {
    breed: text("breed"), species: text("species"), status: text("status"),
    animal_id: text("animal_id"), tags: text("tags", { maxLength: 10_000 }), location: text("location"),
    taken_day: text("taken_day", { type: "date" }), taken_time: text("taken_time", { type: "time", step: 1 }),
    attributes: element("textarea", { name: "attributes", rows: 3, value: texts.attributes }),
  };
}

function changesOf(image, before, inputs) {
  const { taken_day: day, taken_time: time, ...others } = inputs;
  const isDated = day.value !== before.taken_day || time.value !== before.taken_time;
  const changes = isDated ? { taken_at: takenAt(day.value, time.value, image) } : {};
  for (const [name, input] of Object.entries(others)) {
    const now = input.value.trim();
    if (now !== before[name].trim()) changes[name] = READ[name]?.(now, image) ?? (now || null);
  }
  return changes;
}

// A day alone stays one, and a local time too; another time is of this browser's zone.
function takenAt(day, time, image) {
  if (!day && time) throw new BadInput(said.badTaken);
  if (!day || !time) return day || null;
  const written = `${day}T${time}`;
  return image.taken_at_precision === "local" ? written : new Date(written).toISOString();
}

const READ = {
  tags: (text, image) => entriesIn(LISTS.tags.split(text), image.tags.map((tag) => [LISTS.tags.split(tag), tag]), (tag) => tag),
  location: (text) => (text ? placeOf(text) : null),
  attributes: (text, image) => attributesOf(text, image),
};

// Entries that are still as they were filled in stay what they were; other parts are entries of their own.
function entriesIn(parts, own, read) {
  const left = own.filter(([ownParts]) => ownParts.length).sort(([a], [b]) => b.length - a.length);
  const found = [];
  for (let n = 0; n < parts.length;) {
    const at = left.findIndex(([ownParts]) => ownParts.every((part, k) => part === parts[n + k]));
    const [[used, entry]] = at < 0 ? [[[parts[n]], read(parts[n])]] : left.splice(at, 1);
    found.push(entry);
    n += used.length;
  }
  return found;
}

function placeOf(text) {
  const [lat, lon, ...rest] = text.split(/[,;\s]+/).map(Number);
  if (rest.length || !Number.isFinite(lat) || !Number.isFinite(lon)) throw new BadInput(said.badPlace);
  return { lat, lon };
}

// A merge patch: null removes fields that were cleared.
function attributesOf(text, image) {
  const { split } = LISTS.attributes;
  const own = Object.entries(image.attributes).map((entry) => [split(lineOf(entry)), entry]);
  const removed = Object.fromEntries(own.map(([, [name]]) => [name, null]));
  return { ...removed, ...Object.fromEntries(entriesIn(split(text), own, attributeOf)) };
}

function attributeOf(line) {
  const [name, ...value] = line.split("=");
  if (!value.length || !name.trim()) throw new BadInput(said.badAttributes(line));
  return [name.trim(), value.join("=").trim()];
}
