// Server-sent events over fetch, which unlike EventSource exposes status codes and reconnection.
import { Problem, problemOf } from "./problem.js";

const SILENCE_MS = 40_000; // The server pings every 15 s; silence means a dead connection.
const FIRST_WAIT_MS = 1000;
const LONGEST_WAIT_MS = 15_000;

// Follows `path` until `onEvent` returns true, a response is an error, or `stop()` is called.
// onState receives "live", or "waiting" with seconds; onEnd receives the Problem that ended it, if any.
export function follow(path, { onEvent, onState, onEnd }) {
  const stopped = new AbortController();
  run(path, { onEvent, onState, stopped: stopped.signal }).then(
    () => stopped.signal.aborted || onEnd(null),
    (problem) => stopped.signal.aborted || onEnd(problem),
  );
  return () => stopped.abort();
}

async function run(path, { onEvent, onState, stopped }) {
  let lastId = null;
  let wait = FIRST_WAIT_MS;
  while (!stopped.aborted) {
    try {
      for await (const event of stream(path, lastId, stopped, () => onState("live"))) {
        wait = FIRST_WAIT_MS;
        lastId = event.id ?? lastId;
        if (onEvent(event)) return;
      }
    } catch (error) {
      if (stopped.aborted) return;
      if (error instanceof Problem && !isPassing(error)) throw error;
      if (error.retryAfterS) wait = error.retryAfterS * 1000;
    }
    if (stopped.aborted) return;
    onState("waiting", Math.round(wait / 1000));
    await pause(wait, stopped);
    wait = Math.min(wait * 2, LONGEST_WAIT_MS);
  }
}

const isPassing = (problem) => problem.status === 429 || problem.status >= 500;

async function* stream(path, lastId, stopped, onOpen) {
  const ended = new AbortController();
  const end = () => ended.abort();
  stopped.addEventListener("abort", end, { once: true });
  let watchdog = setTimeout(end, SILENCE_MS);
  try {
    const headers = { Accept: "text/event-stream", ...(lastId ? { "Last-Event-ID": lastId } : {}) };
    const response = await fetch(`.${path}`, { headers, signal: ended.signal, cache: "no-store" });
    if (!response.ok) throw await problemOf(response);
    onOpen();
    let rest = "";
    for await (const text of texts(response.body)) {
      clearTimeout(watchdog);
      watchdog = setTimeout(end, SILENCE_MS);
      const blocks = (rest + text).replaceAll("\r\n", "\n").split("\n\n");
      rest = blocks.pop();
      yield* blocks.map(parseEvent).filter((event) => event.data);
    }
  } finally {
    clearTimeout(watchdog);
    stopped.removeEventListener("abort", end);
    ended.abort();
  }
}

// Not `for await (… of body)`: Safari's streams cannot be iterated.
async function* texts(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    yield value;
  }
}

export function parseEvent(block) {
  const event = { name: "message", id: null, data: "" };
  const lines = [];
  for (const line of block.split("\n")) {
    const [name, value] = split(line);
    if (name === "event") event.name = value;
    else if (name === "id") event.id = value;
    else if (name === "data") lines.push(value);
  }
  return { ...event, data: lines.join("\n") };
}

function split(line) {
  const colon = line.indexOf(":");
  return colon < 0 ? [line, ""] : [line.slice(0, colon), line.slice(colon + 1).replace(/^ /, "")];
}

const pause = (ms, stopped) =>
  new Promise((resolve) => {
    const timer = setTimeout(resolve, ms);
    stopped.addEventListener("abort", () => { clearTimeout(timer); resolve(); }, { once: true });
  });
