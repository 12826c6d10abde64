// A photo's details as a list of names and values; some link to photos that share the value.
import { element } from "./dom.js";
import { strings } from "./strings.js";
import { EMPTY, format } from "./url_state.js";

const said = strings.photo;

const link = (state, text) => element("a", { href: format({ ...EMPTY, ...state }) }, element("bdi", {}, text));
const plain = (text) => element("bdi", {}, text);
const none = (value) => value === null || value === undefined || value === "" || value.length === 0;

export function factsOf(image) {
  const rows = [...ownFacts(image), ...Object.entries(image.attributes).map(([name, value]) => [name, plain(value)])];
  const shown = rows.filter(([, value]) => !none(value));
  return element("dl", {}, shown.flatMap(([name, value]) =>
    [element("dt", {}, element("bdi", {}, name)), element("dd", {}, value)]));
}

function ownFacts(image) {
  const names = said.facts;
  const { predicted } = image;
  return [
    [names.breed, breedOf(image)],
    [names.seen, image.breed_source === "label" && predicted ? said.alsoSeen(predicted.breed, predicted.confidence) : ""],
    [names.species, speciesOf(image)],
    [names.status, image.status && link({ status: image.status }, image.status)],
    [names.animal, image.animal_id && link({ animal: image.animal_id }, image.animal_id)],
    [names.tags, image.tags.length ? element("span.tags", {}, image.tags.map((tag) => link({ tag }, tag))) : ""],
    [names.taken, image.taken_at && strings.taken(image)],
    [names.place, image.location && placeOf(image.location)],
    [names.added, strings.moment(image.created_at)],
    [names.changed, image.updated_at === image.created_at ? "" : strings.moment(image.updated_at)],
    [names.size, said.pixels(image.width, image.height)],
    [names.filename, plain(image.filename)],
  ];
}

function breedOf({ breed, breed_source: source, predicted }) {
  if (!breed) return "";
  if (source === "label") return link({ breed }, breed);
  return source === "unsure" ? said.unsure(breed) : said.predictedInFull(breed, predicted.confidence);
}

function speciesOf({ species, species_source: source, species_confidence: confidence }) {
  if (!species) return "";
  if (source === "unsure") return said.unsure(species);
  const shown = link({ species }, species);
  return source === "stated" ? shown : element("span", {}, shown, ` ${said.guessed(confidence)}`);
}

function placeOf({ lat, lon }) {
  const near = format({ ...EMPTY, near: `${lat},${lon},10` });
  return element("span", {}, `${said.place({ lat, lon })} · `, element("a", { href: near }, said.near));
}
