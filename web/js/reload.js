// Loads the page again when one of its files did not arrive: a change of network ends what is under way,
// and a module that failed is not asked for again. No module itself, for those are what may be missing;
// strings.js may be, too, so the one sentence stands here.
(() => {
  const KEY = "reloads";
  const MOST = 3;
  const WAIT_MS = 500;
  const earlier = reloads();
  let isMissing = false;

  // This runs before the modules.
  addEventListener("error", ({ target }) => {
    if (target instanceof HTMLScriptElement) loadAgain();
  }, true); // Errors of elements do not bubble.
  // Safari runs this before the style sheets have come.
  addEventListener("load", () => {
    // Extensions of the browser insert others, which cannot be read.
    if (![...document.querySelectorAll('link[rel=stylesheet][href^="css/"]')].every(hasCome)) loadAgain();
  });

  // A sheet that did not arrive is null in Safari, one without rules in Firefox, and a closed one in Chromium.
  function hasCome({ sheet }) {
    try {
      return sheet.cssRules.length > 0;
    } catch {
      return false;
    }
  }

  addEventListener("file-missing", loadAgain);
  addEventListener("page-complete", () => {
    if (!isMissing) forget(); // Else the count of a reload that goes on would be lost.
  });

  function loadAgain() {
    if (isMissing) return;
    isMissing = true;
    if (earlier >= MOST) giveUp();
    else setTimeout(reload, WAIT_MS * 2 ** earlier, earlier + 1);
  }

  // Storage may be forbidden: then nothing would count the reloads, so there are none.
  function reloads() {
    try {
      return Number(sessionStorage.getItem(KEY));
    } catch {
      return MOST;
    }
  }

  function reload(count) {
    sessionStorage.setItem(KEY, count);
    if (navigator.onLine) location.reload();
    else addEventListener("online", () => location.reload());
  }

  function forget() {
    try {
      sessionStorage.removeItem(KEY);
    } catch {
      // Nothing was kept.
    }
  }

  function giveUp() {
    forget();
    const said = document.createElement("p");
    said.className = "note warn";
    said.setAttribute("role", "alert");
    said.textContent = "This page did not load completely. Check the connection, then load it again.";
    document.querySelector("main").prepend(said);
  }
})();
