// Messages shown instead of content: empty results, and every way a call can fail.
import { button, element } from "./dom.js";
import { hasEnded, signInForm } from "./session.js";
import { strings } from "./strings.js";

const said = strings.problems;
const OFFLINE_RETRY_S = 10;
const isOwnMachine = () => ["localhost", "127.0.0.1", "[::1]"].includes(location.hostname);

export function message(title, text, ...more) {
  return element("div.message", {}, element("h2", {}, title), element("p", {}, text), ...more);
}

// A problem in readable form; `again` repeats the call.
export function problemMessage(problem, again) {
  if (problem.needsKey) return signInMessage(again);
  if (problem.status === 429 || problem.isOffline) return waitingMessage(problem, again);
  const [title, text] = wordsOf(problem);
  const retry = [403, 404, 422].includes(problem.status) ? null : button("primary", strings.retry, again);
  return message(title, text, retry);
}

function wordsOf(problem) {
  const detail = inWords(problem);
  switch (problem.status) {
    case 403: return [said.forbidden, said.forbiddenText(detail)];
    case 404: return [said.notFound, problem.message || said.notFoundText];
    case 503: return [said.unavailable, said.unavailableText(detail)];
    case 507: return [said.full, detail];
    default: return [said.title, detail];
  }
}

// A problem on one line, where a block would be too much. HTTP/2 has no reasons beside its statuses.
export const inWords = (problem) =>
  (problem.isOffline ? `${said.offline}. ${said.offlineText}` : problem.message.trim() || said.answered(problem.status));

function signInMessage(again) {
  const [title, text] = hasEnded()
    ? [strings.session.ended, strings.session.endedText]
    : [strings.session.title, strings.session.text];
  return message(title, text, signInForm(again));
}

// Calls again by itself, after a while or once the browser is back online.
function waitingMessage(problem, again) {
  const countdown = element("p.soft", { role: "timer" });
  const [title, text] = problem.isOffline ? [said.offline, `${said.offlineText} ${said.againByItself}`] : [said.busy, said.busyText];
  const hint = problem.isOffline && isOwnMachine() ? element("p.soft", {}, said.offlineHint) : null;
  const shown = message(title, text, hint, countdown, button("quiet", strings.retry, again));
  if (problem.isOffline) addEventListener("online", () => shown.isConnected && again(), { once: true });
  let left = problem.retryAfterS ?? (problem.isOffline ? OFFLINE_RETRY_S : 5);
  const tick = () => {
    if (left > 0 && !shown.isConnected && countdown.textContent) return; // replaced meanwhile
    countdown.textContent = strings.retryIn(left);
    left -= 1;
    if (left >= 0) setTimeout(tick, 1000);
    else if (shown.isConnected) again();
  };
  tick();
  return shown;
}

// A short notice, announced to screen readers, that disappears by itself.
let hiding = 0;

export function toast(text) {
  const place = document.getElementById("toast");
  place.textContent = text;
  place.hidden = false;
  clearTimeout(hiding);
  hiding = setTimeout(() => { place.hidden = true; }, 5000);
}

// The keys that the page knows.
export function showKeys() {
  const dialog = document.getElementById("dialog");
  dialog.replaceChildren(
    element("h2", { id: "dialog-title" }, strings.keys.title),
    element("dl.keys", {}, strings.keys.of.flatMap(([key, does]) =>
      [element("dt", {}, element("kbd", {}, key)), element("dd", {}, does)])),
    element("div.actions", {}, button("quiet", strings.keys.close, () => dialog.close(), { autofocus: true })),
  );
  dialog.showModal();
}

// Confirms an action that cannot be undone; resolves to whether to do it.
export function confirmed({ title, text, yes, no, look = "danger" }) {
  const dialog = document.getElementById("dialog");
  return new Promise((resolve) => {
    let answer = false;
    const end = (value) => { answer = value; dialog.close(); };
    dialog.replaceChildren(
      element("h2", { id: "dialog-title" }, title),
      element("p", {}, text),
      element("div.actions", {}, button(look, yes, () => end(true)),
        button("quiet", no, () => end(false), { autofocus: true })),
    );
    dialog.addEventListener("close", () => resolve(answer), { once: true });
    dialog.showModal();
  });
}
