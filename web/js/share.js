// Shares a search by photo for a day, and shows what is kept of a shared one. Nothing is sent before Share is pressed.
import { deleteShared, getShared, sharedPhoto, sharePhoto } from "./api.js";
import { byId, button, element, field } from "./dom.js";
import { needReadable } from "./files.js";
import { inWords, toast } from "./messages.js";
import { find } from "./query_photos.js";
import { strings } from "./strings.js";
import { EMPTY, format, go, searchPart } from "./url_state.js";

const said = strings.share;
const tokens = new Map(); // What deletes them, by the id of the shared search.
let shown = EMPTY;

// No search engine should list a shared search.
export function markUnlisted(state) {
  document.querySelector('meta[name="robots"]')?.remove();
  if (state.shared) document.head.append(element("meta", { name: "robots", content: "noindex" }));
}

export function connect() {
  byId("share").addEventListener("click", () => openShareDialog(shown));
}

// The button to share the search, or the photo of one that is shared.
export async function showSharing(state) {
  shown = state;
  byId("share").hidden = true;
  byId("shared").replaceChildren();
  if (state.shared) takeToken(state);
  const [photo, shared] = await Promise.all([
    state.by ? find(state.by) : null,
    state.shared ? getShared(state.shared).catch(() => null) : null, // The results show the error.
  ]);
  if (shown !== state) return;
  byId("share").hidden = !photo;
  if (shared) byId("shared").replaceChildren(panel(state, shared));
}

// The link to delete carries its token where no server sees it. It leaves the address bar, from which it could be shared.
function takeToken(state) {
  const token = new URLSearchParams(location.hash.slice(1)).get("delete");
  if (!token) return;
  tokens.set(state.shared, token);
  history.replaceState(history.state, "", format(state));
}

function panel(state, { share_id: id, expires_at: end }) {
  const remove = async (event) => {
    event.target.disabled = true;
    try {
      await deleteShared(id, tokens.get(id));
    } catch (error) {
      event.target.disabled = false;
      return toast(inWords(error));
    }
    toast(said.removed);
    return go({ ...state, shared: "" });
  };
  return element("div.panel.shared", {},
    element("img", { src: sharedPhoto(id), alt: said.photo }),
    element("div", {},
      element("p", {}, said.until(end)),
      tokens.has(id) ? button("danger", said.remove, remove) : null));
}

function openShareDialog(state) {
  const dialog = byId("dialog");
  const problem = element("p.bad", { role: "alert" });
  const share = async (event) => {
    event.target.disabled = true;
    try {
      const { photo } = await find(state.by);
      await needReadable(photo);
      showLinks(state, await sharePhoto(photo));
    } catch (error) {
      event.target.disabled = false;
      problem.textContent = inWords(error);
    }
  };
  dialog.replaceChildren(
    element("h2", { id: "dialog-title" }, said.title),
    ...said.text.map((text) => element("p", {}, text)),
    problem,
    element("div.actions", {}, button("primary", said.go, share),
      button("quiet", strings.cancel, () => dialog.close(), { autofocus: true })),
  );
  dialog.showModal();
}

function showLinks(state, { share_id: id, delete_token: token, expires_at: end }) {
  const dialog = byId("dialog");
  const copied = element("p.soft", { role: "status" });
  const link = new URL(format({ ...EMPTY, ...searchPart(state), by: "", shared: id }), location.href).href;
  const title = element("h2", { id: "dialog-title", tabIndex: -1 }, said.done);
  tokens.set(id, token);
  dialog.replaceChildren(
    title,
    element("p", {}, said.until(end)),
    copyable(said.link, null, link, copied),
    copyable(said.deleteLink, said.deleteHint, `${link}#delete=${token}`, copied),
    copied,
    element("div.actions", {}, button("quiet", said.close, () => dialog.close())),
  );
  title.focus();
}

function copyable(name, hint, url, copied) {
  const text = element("input", { type: "text", readOnly: true, value: url });
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(url);
      copied.textContent = said.copied(name);
    } catch {
      text.select(); // The clipboard is not available.
    }
  };
  return element("div.copyable", {}, field(name, text, hint),
    button("quiet", said.copy, copy, { "aria-label": said.copyOf(name) }));
}
