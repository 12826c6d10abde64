// Adds photos: choose or drop them, enter details for all of them, see recent jobs.
import { listJobs } from "../api.js";
import { byId, button, element } from "../dom.js";
import { isPhoto, kindOfSource, onPicked } from "../files.js";
import { jobRow } from "../jobs_list.js";
import { inWords, problemMessage, toast } from "../messages.js";
import { openSignIn } from "../session.js";
import { strings } from "../strings.js";
import { EMPTY, go } from "../url_state.js";
import { sendSource, Upload } from "../upload.js";

const said = strings.add;

export function connect() {
  for (const id of ["add-files", "add-folder", "add-archive", "add-camera"]) {
    onPicked(byId(id), takeFiles);
    byId(`${id}-button`).addEventListener("click", () => byId(id).click());
  }
}

let sending = null;

export const isSending = () => sending !== null;

export async function show() {
  document.title = strings.titles.add;
  scrollTo(0, 0);
  const place = byId("recent-jobs");
  try {
    const { items } = await listJobs(10);
    place.replaceChildren(items.length
      ? element("ul.jobs", {}, items.map(jobRow))
      : element("p.soft", {}, said.none));
  } catch (problem) {
    place.replaceChildren(problemMessage(problem, show));
  }
}

// Photos become one job, an archive or a manifest another; prompts for a key if one is required.
export async function takeFiles(files) {
  // A table inside a folder of photos is ignored: it does not describe this upload.
  const areSources = files.length > 0 && files.every((file) => kindOfSource(file));
  try {
    if (areSources) await takeSources(files);
    else await takePhotos(files);
  } catch (problem) {
    say("");
    if (problem.name === "AbortError") toast(said.stopped);
    else if (problem.needsKey) openSignIn(() => takeFiles(files));
    else say(inWords(problem), true);
  }
}

async function takePhotos(files) {
  const photos = files.filter(isPhoto);
  const skipped = files.length - photos.length;
  if (!photos.length) return say(said.nothing, true);
  const upload = new Upload(photos, { metadata: metadataOf(byId("said")), options: options() });
  const { job_id: job } = await upload.open();
  byId("said").reset(); // The details belong to these photos, not to the next ones.
  upload.send();
  say("");
  if (skipped) toast(said.skipped(skipped));
  return go({ ...EMPTY, job });
}

async function takeSources(files) {
  if (metadataOf(byId("said"))) return say(said.sourceSaysItself, true);
  if (sending) return say(said.oneAtATime, true);
  const lines = byId("add-columns").value.split("\n").filter((line) => line.trim());
  const wrong = lines.find((line) => !/[^\s=].*=/.test(line));
  if (wrong) return say(said.badColumns(wrong), true);
  sending = new AbortController();
  let job = "";
  try {
    for (const file of files) job = await takeSource(file, columnsOf(lines), sending.signal);
  } finally {
    sending = null;
    byId("add-stop").replaceChildren();
  }
  say("");
  return go({ ...EMPTY, job });
}

async function takeSource(file, columns, signal) {
  const onShare = (share) => say(`${said.sendingArchive(file.name)} ${strings.percent(share)}`);
  onShare(0);
  byId("add-stop").replaceChildren(button("quiet", strings.cancel, () => sending?.abort()));
  const { job_id: job } = await sendSource(file, {
    kind: kindOfSource(file), columns, options: options(), onShare, signal,
  });
  return job;
}

// How photos are added, as the API's fields of a job.
const options = () => ({
  on_duplicate: byId("on-duplicate").value,
  exif_dates: byId("exif-dates").checked,
  gps: byId("gps").checked,
});

// The lines column = field as the API's columns; without a field, the column is left out.
function columnsOf(lines) {
  return Object.fromEntries(lines.map((line) => {
    const at = line.lastIndexOf("=");
    return [line.slice(0, at).trim(), line.slice(at + 1).trim() || null];
  }));
}

function say(text, isBad = false) {
  if (isBad && byId("add-view").hidden) return toast(text); // They were dropped on another page.
  const place = byId("add-status");
  place.textContent = text;
  place.classList.toggle("bad", isBad);
  return undefined;
}

// The completed form as the API's metadata; null if it is empty.
function metadataOf(form) {
  const given = {};
  for (const [name, value] of new FormData(form)) {
    const text = value.trim();
    if (!text) continue;
    given[name] = name === "tags" ? text.split(",").map((tag) => tag.trim()).filter(Boolean) : text;
  }
  return Object.keys(given).length ? given : null;
}
