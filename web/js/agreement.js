// What a query photo and a result have in common, and what not, as far as both are known.
import { element } from "./dom.js";
import { strings } from "./strings.js";

const said = strings.compare;
const EARTH_RADIUS_M = 6_371_009;
const DAY_MS = 86_400_000;
const fold = (text) => text.normalize("NFKC").trim().toLowerCase();
const unique = (list) => [...new Set(list)];
const wordsOf = (text) => fold(text).match(/\p{L}+/gu) ?? [];

// What is known of an image of the catalogue.
export function sideOfImage(image) {
  const { species, breed, attributes, tags, location } = image;
  const known = (name, source, guessed) =>
    (name && source && source !== "unsure" ? { text: name, isGuess: source === guessed } : null);
  return {
    species: known(species, image.species_source, "predicted"),
    breed: known(breed, image.breed_source, "predicted"),
    attributes,
    colours: listed(unique([...Object.entries(attributes).flatMap(coloursOfAttribute), ...tags.flatMap(coloursOfTag)])),
    place: location && { ...location, text: said.at(location), isCell: image.location_precision === "cell" },
    taken: image.taken_at && { day: dayOf(image), text: strings.taken(image) },
  };
}

// What is known of a photo that was searched by: from its file, and from the rest of the search.
export function sideOfSearch(state, capture) {
  const asked = (name) => (name ? { text: name, isGuess: false } : null);
  const [lat, lon] = state.near.split(",").map(Number);
  const near = state.near && { lat, lon, text: said.near({ lat, lon }) };
  return {
    species: asked(state.species),
    breed: asked(state.breed),
    attributes: {},
    colours: listed(coloursIn(state.q), said.inWords),
    place: capture.location ? { ...capture.location, text: said.at(capture.location) } : near || null,
    taken: capture.taken_at ? { day: dayOf(capture), text: strings.taken(capture) } : null,
  };
}

// Colours by their first spelling; "not black" states none.
function coloursIn(text) {
  return unique(wordsOf(text).flatMap((word, n, words) => {
    const found = said.colours.find((spellings) => spellings.includes(word));
    return found && !said.negations.includes(words[n - 1]) ? [found[0]] : [];
  }));
}

// The colour of a collar is not the animal's.
const isOfCoat = (name) => wordsOf(name).some((word) => said.coat.includes(word)) && !wordsOf(name).includes(said.collar);
const coloursOfAttribute = ([name, value]) => (isOfCoat(name) ? coloursIn(value) : []);
const coloursOfTag = (tag) => (wordsOf(tag).length === 1 ? coloursIn(tag) : []);
const listed = (list, words = (text) => text) => (list.length ? { list, text: words(list.join(", ")) } : null);

// As it is shown: an instant in the zone of the browser, anything else as it is written.
function dayOf({ taken_at: text, taken_at_precision: precision }) {
  const [year, month, day] = precision === "instant"
    ? [(at) => at.getFullYear(), (at) => at.getMonth(), (at) => at.getDate()].map((part) => part(new Date(text)))
    : text.slice(0, 10).split("-").map((part, n) => Number(part) - (n === 1));
  return Date.UTC(year, month, day) / DAY_MS;
}

// Rows of { name, query, result, mark, look }, and the names of what is not known of both.
export function compared(query, result) {
  const names = said.names;
  const made = [
    [names.species, named(query.species, result.species)],
    [names.breed, named(query.breed, result.breed)],
    [names.colours, colours(query.colours, result.colours)],
    ...attributes(query, result),
    [names.place, places(query.place, result.place)],
    [names.taken, times(query.taken, result.taken)],
  ];
  return {
    rows: made.filter(([, row]) => row).map(([name, row]) => ({ name, ...row })),
    unknown: made.filter(([, row]) => !row).map(([name]) => name),
  };
}

const agreement = (isSame, isGuess = false) => ({
  mark: isGuess ? said.probably[isSame ? "same" : "different"] : said[isSame ? "same" : "different"],
  look: isSame ? "same" : "different",
});

function named(one, other) {
  if (!one || !other) return null;
  const shown = ({ text, isGuess }) => (isGuess ? said.guess(text) : text);
  const isSame = fold(one.text) === fold(other.text);
  return { query: shown(one), result: shown(other), ...agreement(isSame, one.isGuess || other.isGuess) };
}

function colours(ours, theirs) {
  if (!ours || !theirs) return null;
  const shared = ours.list.filter((colour) => theirs.list.includes(colour));
  const isWhole = shared.length === ours.list.length && shared.length === theirs.list.length;
  const words = shared.length && !isWhole ? { mark: said.shared(shared.join(", ")), look: "same" } : agreement(isWhole);
  return { query: ours.text, result: theirs.text, ...words };
}

// Those that both state, except colours of coats, which have a row of their own.
function attributes(query, result) {
  const theirs = new Map(Object.entries(result.attributes).map(([name, value]) => [fold(name), value]));
  return Object.entries(query.attributes).flatMap(([name, value]) => {
    const other = theirs.get(fold(name));
    if (other === undefined || (isOfCoat(name) && coloursIn(value).length && coloursIn(other).length)) return [];
    return [[name, { query: value, result: other, ...agreement(fold(value) === fold(other)) }]];
  });
}

function places(one, other) {
  if (!one || !other) return null;
  const apart = metresBetween(one, other);
  const mark = one.isCell || other.isCell ? said.aboutApart(apart) : said.apart(apart);
  return { query: one.text, result: other.text, mark, look: "between" };
}

function times(one, other) {
  return one && other && { query: one.text, result: other.text, mark: said.later(other.day - one.day), look: "between" };
}

// On the sphere, by the haversine formula, as the server does.
function metresBetween(one, other) {
  const radians = (degrees) => (degrees * Math.PI) / 180;
  const half = (from, to) => Math.sin(radians(to - from) / 2) ** 2;
  const squared = half(one.lat, other.lat)
    + Math.cos(radians(one.lat)) * Math.cos(radians(other.lat)) * half(one.lon, other.lon);
  return 2 * EARTH_RADIUS_M * Math.asin(Math.min(1, Math.sqrt(squared)));
}

export function agreementTable(query, result, columns) {
  const { rows, unknown } = compared(query, result);
  const head = (text) => element("th", { scope: "col" }, element("bdi", {}, text));
  const cell = (text) => element("td", {}, element("bdi", {}, text));
  const row = ({ name, query: ours, result: theirs, mark, look }) => element("tr", {},
    element("th", { scope: "row" }, element("bdi", {}, name), element(`span.mark.${look}`, {}, element("bdi", {}, mark))),
    cell(ours), cell(theirs));
  const table = element("table", {},
    element("thead", {}, element("tr", {}, element("td"), ...columns.map(head))),
    element("tbody", {}, rows.map(row)));
  return element("section.panel.agreement", { "aria-labelledby": "agreement-title" },
    element("h2", { id: "agreement-title" }, said.title),
    rows.length ? table : null,
    unknown.length ? element("p.soft", {}, said.unknown(unknown)) : null);
}
