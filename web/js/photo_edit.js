// The form that edits a photo's details; only changed fields are sent.
import { changeImage } from "./api.js";
import { button, element, field } from "./dom.js";
import { inWords } from "./messages.js";
import { openSignIn } from "./session.js";
import { strings } from "./strings.js";

const said = strings.edit;

class BadInput extends Error {}

export function editForm(image, etag, { onSaved, onCancel, onReload }) {
  const before = textsOf(image);
  const inputs = inputsOf(before);
  const bad = element("p.bad", { role: "alert" });
  const save = async (event) => {
    event.preventDefault();
    bad.replaceChildren();
    form.inert = true; // Input during the save would be lost.
    try {
      onSaved(await changeImage(image.image_id, changesOf(image, before, inputs), etag));
    } catch (error) {
      form.inert = false;
      submit.focus();
      if (error instanceof BadInput) bad.textContent = error.message;
      else if (error.needsKey) openSignIn(() => form.requestSubmit());
      else if (error.status === 412) bad.replaceChildren(said.outdated, " ", button("quiet", said.reload, onReload));
      else bad.textContent = inWords(error);
    }
  };
  const submit = element("button.primary", { type: "submit" }, said.save);
  const form = element("form.edit", { onsubmit: save, onkeydown: escTo(onCancel) },
    element("h1", {}, said.title),
    ...fieldsOf(inputs),
    bad,
    element("div.actions", {}, submit, button("quiet", strings.cancel, onCancel)));
  queueMicrotask(() => inputs.breed.focus());
  return form;
}

const escTo = (act) => (event) => {
  if (event.key !== "Escape") return;
  event.stopPropagation();
  act();
};

function fieldsOf(inputs) {
  return [
    field(said.breed, inputs.breed, said.breedHint),
    field(said.species, inputs.species),
    field(said.status, inputs.status, said.statusHint),
    field(said.animal, inputs.animal_id, said.animalHint),
    field(said.tags, inputs.tags, said.tagsHint),
    field(said.taken, inputs.taken_at),
    field(said.place, inputs.location, said.placeHint),
    field(said.attributes, inputs.attributes, said.attributesHint),
  ];
}

// Every field as the text in its input.
function textsOf(image) {
  return {
    breed: image.breed_source === "label" ? image.breed : "",
    species: image.species ?? "",
    status: image.status ?? "",
    animal_id: image.animal_id ?? "",
    tags: image.tags.join(", "),
    taken_at: image.taken_at ? localTime(new Date(image.taken_at)) : "",
    location: image.location ? `${image.location.lat}, ${image.location.lon}` : "",
    attributes: Object.entries(image.attributes).map(([name, value]) => `${name} = ${value}`).join("\n"),
  };
}

function localTime(date) {
  const shifted = new Date(date - date.getTimezoneOffset() * 60_000);
  return shifted.toISOString().slice(0, 16);
}

function inputsOf(texts) {
  const text = (name, more) =>
    element("input", { type: "text", name, value: texts[name], maxLength: 200, autocomplete: "off", ...more });
  return {
    breed: text("breed"), species: text("species"), status: text("status"),
    animal_id: text("animal_id"), tags: text("tags", { maxLength: 10_000 }), location: text("location"),
    taken_at: text("taken_at", { type: "datetime-local" }),
    attributes: element("textarea", { name: "attributes", rows: 3, value: texts.attributes }),
  };
}

function changesOf(image, before, inputs) {
  const changes = {};
  for (const [name, input] of Object.entries(inputs)) {
    const now = input.value.trim();
    if (now !== before[name].trim()) changes[name] = READ[name]?.(now, image) ?? (now || null);
  }
  return changes;
}

const READ = {
  tags: (text) => text.split(",").map((tag) => tag.trim()).filter(Boolean),
  taken_at: (text) => (text ? new Date(text).toISOString() : null),
  location: (text) => (text ? placeOf(text) : null),
  attributes: (text, image) => attributesOf(text, image),
};

function placeOf(text) {
  const [lat, lon, ...rest] = text.split(/[,;\s]+/).map(Number);
  if (rest.length || !Number.isFinite(lat) || !Number.isFinite(lon)) throw new BadInput(said.badPlace);
  return { lat, lon };
}

// A merge patch: null removes fields that were cleared.
function attributesOf(text, image) {
  const changes = Object.fromEntries(Object.keys(image.attributes).map((name) => [name, null]));
  for (const line of text.split("\n").filter((one) => one.trim())) {
    const [name, ...value] = line.split("=");
    if (!value.length || !name.trim()) throw new BadInput(said.badAttributes(line));
    changes[name.trim()] = value.join("=").trim();
  }
  return changes;
}
