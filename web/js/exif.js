// When and where a photo was taken, as the EXIF of its file says; read here, and sent nowhere.
const READ_BYTES = 262_144; // EXIF is at the beginning or, in WebP and some HEIC, at the end. It has at most 64 kB.
const [EXIF_IFD, GPS_IFD, TAKEN, OFFSET] = [0x8769, 0x8825, 0x9003, 0x9011];
const [LAT_REF, LAT, LON_REF, LON] = [1, 2, 3, 4];
const MARK = [0x45, 0x78, 0x69, 0x66, 0, 0]; // "Exif\0\0"

// { taken_at, taken_at_precision, location }, as the API writes them; without what is not known.
export async function captureOf(file) {
  try {
    for (const part of [file.slice(0, READ_BYTES), file.slice(-READ_BYTES)]) {
      const bytes = new Uint8Array(await part.arrayBuffer());
      const start = startOf(bytes);
      if (start >= 0) return read(new DataView(bytes.buffer, start));
    }
    return {};
  } catch {
    return {}; // A damaged file, or one that cannot be read, states nothing.
  }
}

// The TIFF header that EXIF begins with; -1 without one. JPEG, PNG, WebP, HEIC and AVIF each have something else before
// it, and HEIC has the name "Exif\0\0" in its directory, too.
function startOf(bytes) {
  const is = (n, values) => values.every((byte, k) => bytes[n + k] === byte);
  return bytes.findIndex((byte, n) =>
    (byte === 0x49 && is(n, [0x49, 0x49, 0x2a, 0]) && (is(n + 4, [8, 0, 0, 0]) || is(n - 6, MARK))) ||
    (byte === 0x4d && is(n, [0x4d, 0x4d, 0, 0x2a]) && (is(n + 4, [0, 0, 0, 8]) || is(n - 6, MARK))));
}

function read(view) {
  const little = view.getUint16(0) === 0x4949;
  const main = entries(view, view.getUint32(4, little), little);
  const part = (tag) => (main.has(tag) ? entries(view, main.get(tag).number(), little) : new Map());
  return { ...takenOf(part(EXIF_IFD)), ...placeOf(part(GPS_IFD)) };
}

function entries(view, start, little) {
  const found = new Map();
  const count = view.getUint16(start, little);
  for (let at = start + 2; at < start + 2 + count * 12; at += 12) {
    const length = view.getUint32(at + 4, little);
    const value = () => view.getUint32(at + 8, little);
    found.set(view.getUint16(at, little), {
      number: value,
      text: () => textAt(view, length > 4 ? value() : at + 8, Math.min(length, 64)),
      fractions: () => Array.from({ length: Math.min(length, 3) }, (_, n) =>
        view.getUint32(value() + n * 8, little) / view.getUint32(value() + n * 8 + 4, little)),
    });
  }
  return found;
}

const textAt = (view, start, length) =>
  Array.from({ length }, (_, n) => String.fromCharCode(view.getUint8(start + n))).join("").replace(/[\0 ]+$/, "");

function takenOf(exif) {
  const parts = /^(\d{4}):(\d\d):(\d\d) (\d\d:\d\d:\d\d)/.exec(exif.get(TAKEN)?.text() ?? "");
  if (!parts || Number(parts[1]) < 1826) return {}; // A clock that was never set.
  const [, year, month, day, time] = parts;
  const offset = /^([+-](0\d|1[0-3]):[0-5]\d|[+-]14:00|Z)$/.exec(exif.get(OFFSET)?.text() ?? "")?.[0] ?? "";
  const text = `${year}-${month}-${day}T${time}`;
  // February 30 is a date to JavaScript, and none to the server; nor is where a clock that was never set starts.
  const asStated = new Date(`${text}Z`);
  if (Number.isNaN(asStated.getTime()) || !asStated.toISOString().startsWith(text) || !asStated.getTime()) return {};
  if (Date.parse(`${text}${offset || "+14:00"}`) > Date.now()) return {}; // The future, in every zone.
  return { taken_at: `${text}${offset}`, taken_at_precision: offset ? "instant" : "local" };
}

function placeOf(gps) {
  if (![LAT_REF, LAT, LON_REF, LON].every((tag) => gps.has(tag))) return {};
  const degrees = (tag, negative, ref) => {
    const [whole, minutes = 0, seconds = 0] = gps.get(tag).fractions();
    return (whole + minutes / 60 + seconds / 3600) * (gps.get(ref).text() === negative ? -1 : 1);
  };
  const [lat, lon] = [degrees(LAT, "S", LAT_REF), degrees(LON, "W", LON_REF)];
  const isPlace = Math.abs(lat) <= 90 && Math.abs(lon) <= 180 && (lat || lon); // NaN is none, either.
  return isPlace ? { location: { lat, lon } } : {};
}
