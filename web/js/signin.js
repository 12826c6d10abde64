// Signing in with an API key, where the server asks for one. The cookie is out of scripts' reach.
import { signIn } from "./api.js";
import { element } from "./dom.js";
import { strings } from "./strings.js";

export function signInForm(onDone) {
  const key = element("input", {
    type: "password", name: "key", autocomplete: "current-password", required: true,
    maxLength: 200, placeholder: "ps_…",
  });
  const bad = element("p", { className: "bad", role: "alert" });
  const submit = async (event) => {
    event.preventDefault();
    bad.textContent = "";
    try {
      await signIn(key.value.trim());
    } catch (problem) {
      bad.textContent = problem.isOffline ? strings.offlineText : problem.message;
      return;
    }
    onDone();
  };
  return element(
    "form",
    { className: "sign-in", onsubmit: submit },
    element("label", {}, strings.apiKey, key),
    element("button", { type: "submit", className: "primary" }, strings.signIn),
    bad,
  );
}
