// The dialog between a chosen photo and its search: frame the animal, add words.
import { canCut, Cropper, cut } from "./crop.js";
import { byId, button, element, field } from "./dom.js";
import { captureOf } from "./exif.js";
import { keep } from "./query_photos.js";
import { strings } from "./strings.js";
import { EMPTY, filtersGiven, go } from "./url_state.js";

const SMALL_BYTES = 1_500_000;
const said = strings.photoQuery;

// Keeps the filters of `state` and prefills its words.
export async function openPhotoDialog(file, state) {
  const url = URL.createObjectURL(file);
  const image = element("img", { src: url, alt: said.alt });
  const canShow = await image.decode().then(() => true, () => false);
  const cropper = canShow && canCut() ? new Cropper(image) : null;
  const words = element("input", { type: "text", name: "words", maxLength: 1000, value: state.q, placeholder: said.wordsHint });
  const dialog = byId("dialog");
  const search = async (event) => {
    event.preventDefault();
    if (event.target.inert) return;
    event.target.inert = true; // A second click would search twice.
    const photo = await photoToSend(file, image, cropper);
    dialog.close();
    const filters = Object.fromEntries(filtersGiven(state).map((name) => [name, state[name]]));
    go({ ...EMPTY, ...filters, q: words.value.trim(), by: await keep(photo, await captureOf(file)) });
  };
  dialog.replaceChildren(
    element("h2", { id: "dialog-title" }, said.title),
    element("p.soft", {}, cropper ? said.hint : canShow ? said.cannotCut : said.cannotShow),
    canShow ? element("div.stage-place", {}, cropper?.stage ?? element("div.stage", {}, image)) : element("p", {}, element("bdi", {}, file.name)),
    element("form", { onsubmit: search }, field(said.words, words),
      element("div.actions", {},
        element("button.primary", { type: "submit" }, said.go),
        cropper ? button("quiet", said.whole, () => cropper.useWhole()) : null,
        button("quiet", strings.cancel, () => dialog.close()))),
  );
  dialog.addEventListener("close", () => URL.revokeObjectURL(url), { once: true });
  dialog.showModal();
  (cropper?.frame ?? words).focus();
}

async function photoToSend(file, image, cropper) {
  const isFit = !cropper || (cropper.isWhole && file.size <= SMALL_BYTES);
  return isFit ? file : cut(image, cropper.rect, file.name || strings.results.yourPhoto);
}
