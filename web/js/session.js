// The session, and the sign-in forms. Scripts cannot read the cookie itself.
import { getSession, signIn, signOut } from "./api.js";
import { byId, button, element, field } from "./dom.js";
import { icon } from "./icons.js";
import { inWords, toast } from "./messages.js";
import { Problem } from "./problem.js";
import { strings } from "./strings.js";

const WAS = "petsearch.signed-in";
let known = null;

// Whether the page should offer actions that require a scope; the server enforces it. None before the
// session is known: what depends on it is drawn again at each `session-changed`.
export const may = (scope) =>
  known !== null && (!known.keys_needed || (known.scopes ?? []).some((own) => own === scope || own === "admin"));

export async function readSession() {
  const before = JSON.stringify(known);
  known = await getSession();
  if (known.key_id) keepWas("yes");
  showAccount();
  if (JSON.stringify(known) !== before) dispatchEvent(new Event("session-changed"));
}

addEventListener("key-needed", () => {
  if (!known?.key_id) return;
  known = { ...known, key_id: null }; // Asks once, however many requests are refused.
  readSession().catch(() => undefined);
});

// Storage may be forbidden: then nobody is known to have been signed in.
export function hasEnded() {
  try {
    return sessionStorage.getItem(WAS) === "yes";
  } catch {
    return false;
  }
}

function keepWas(value) {
  try {
    sessionStorage.setItem(WAS, value);
  } catch {
    // It is only known less well then.
  }
}

function showAccount() {
  for (const link of document.querySelectorAll("[data-scope]")) link.hidden = !may(link.dataset.scope);
  const place = byId("account");
  if (!known.keys_needed) return place.replaceChildren();
  if (!known.key_id) {
    return place.replaceChildren(
      button("quiet", strings.session.signIn, () => openSignIn(), { id: "sign-in" }),
    );
  }
  const out = async () => {
    try {
      await signOut();
    } catch (problem) {
      toast(inWords(problem));
      return;
    }
    keepWas("");
    dispatchEvent(new Event("signed-out"));
    location.reload();
  };
  const name = element("span.account-name", { title: strings.session.signedInAs(known.name) }, known.name);
  place.replaceChildren(icon("key"), name, button("quiet", strings.session.signOut, out));
}

// Asks for a key in a dialog; `onDone` runs after the sign-in.
export function openSignIn(onDone = () => dispatchEvent(new Event("asked-again"))) {
  const dialog = byId("dialog");
  const done = () => {
    dialog.close();
    onDone();
  };
  dialog.replaceChildren(
    element("h2", { id: "dialog-title" }, hasEnded() ? strings.session.ended : strings.session.title),
    element("p.soft", {}, hasEnded() ? strings.session.endedText : strings.session.text),
    signInForm(done),
    element("div.actions", {}, button("quiet", strings.cancel, () => dialog.close())),
  );
  dialog.showModal();
}

export function signInForm(onDone) {
  const key = element("input", {
    type: "password", name: "key", autocomplete: "current-password", required: true,
    maxLength: 200, placeholder: "ps_…",
  });
  const bad = element("p.bad", { role: "alert" });
  const submit = async (event) => {
    event.preventDefault();
    bad.textContent = "";
    try {
      await signIn(key.value.trim());
      await readSession();
      if (!known.key_id) throw new Problem(null, strings.session.noCookies);
      dispatchEvent(new Event("signed-in"));
    } catch (problem) {
      bad.textContent = inWords(problem);
      return;
    }
    onDone();
  };
  return element("form.sign-in", { onsubmit: submit }, field(strings.session.key, key),
    element("button.primary", { type: "submit" }, strings.session.signIn), bad);
}
