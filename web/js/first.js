// Asks for the first photos while the rest of the page is still being fetched.
import { askAhead } from "./api.js";
import { read, viewOf } from "./url_state.js";

const state = read();
// A photo that is searched with lies in this browser's storage, which `walk` reads.
if (viewOf(state) === "search" && !state.by) askAhead(state);
