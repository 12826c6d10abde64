// Asks for what is shown first while the rest of the page is still being fetched.
import { askAhead } from "./api.js";
import { read, viewOf } from "./url_state.js";

const state = read();
if (viewOf(state) !== "search") import("./other_views.js").catch(() => undefined); // main.js sees the error.
// A photo that is searched with lies in this browser's storage, which `walk` reads.
else if (!state.by) askAhead(state);
