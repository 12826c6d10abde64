// Uploads photos as one job, a few per request, and reports the progress of each file.
import { controlJob, openJob } from "./api.js";
import { isReadable, needReadable } from "./files.js";
import { Problem, problemFrom } from "./problem.js";

const PHOTOS_PER_REQUEST = 8;
const BYTES_PER_REQUEST = 24e6;
const TRIES = 6;
const LONGEST_WAIT_S = 20;
export const SOURCE = "page";

// The uploads of this page, by job. Files are lost when the page closes.
export const uploads = new Map();

export class Upload extends EventTarget {
  constructor(files, { metadata, options }) {
    super();
    this.files = files.map((file) => ({ file, name: file.name, size: file.size, state: "waiting", share: 0 }));
    this.metadata = metadata;
    this.options = options;
    this.jobId = null;
    this.waiting = [...this.files];
    this.problem = null;
    this.isSending = false;
    this.isOver = false; // Everything was sent, or its job has ended: no file is needed any more.
  }

  async open() {
    const job = await openJob(SOURCE, this.files.length, this.options);
    this.jobId = job.job_id;
    uploads.set(job.job_id, this);
    return job;
  }

  // Resumes where it stopped; an interrupted request is repeated, and counts once.
  async send() {
    if (this.isSending) return;
    this.isSending = true;
    this.problem = null;
    this.#tell();
    try {
      while (this.waiting.length) await patiently(() => this.#sendBatch());
      await patiently(() => controlJob(this.jobId, "seal"));
      this.isOver = true;
    } catch (problem) {
      mark(this.files.filter(({ state }) => state === "sending"), "unsent", 0);
      this.problem = problem;
      if ([404, 409].includes(problem.status)) this.isOver = true; // Its job takes nothing any more.
    }
    this.isSending = false;
    this.#tell();
  }

  // A file that was moved, changed or deleted since it was chosen would break off the whole request.
  async #nextBatch() {
    const batch = [];
    let bytes = 0;
    for (const entry of [...this.waiting]) {
      if (batch.length === PHOTOS_PER_REQUEST || (batch.length && bytes + entry.size > BYTES_PER_REQUEST)) break;
      if (await isReadable(entry.file)) {
        bytes += entry.size;
        batch.push(entry);
      } else {
        mark([entry], "unreadable", 0);
        this.waiting.splice(this.waiting.indexOf(entry), 1);
      }
    }
    return batch;
  }

  async #sendBatch() {
    const batch = await this.#nextBatch();
    if (!batch.length) return this.#tell();
    mark(batch, "sending", 0);
    const form = new FormData();
    for (const { file } of batch) form.append("photos", file, file.name);
    if (this.metadata) form.append("metadata", JSON.stringify(this.metadata));
    // The same key for the same files only: another one once a file of theirs was left out.
    const key = `${this.jobId}-${this.waiting.length}-${this.unreadable().length}`;
    const { total } = await post(`/v1/jobs/${this.jobId}/photos`, form, { key, onShare: (share) => {
      mark(batch, "sending", share);
      this.#tell();
    } });
    mark(batch, "sent", 1);
    batch.forEach((entry, n) => { entry.itemNo = total - batch.length + n; });
    this.waiting.splice(0, batch.length);
    return this.#tell();
  }

  unreadable() {
    return this.files.filter(({ state }) => state === "unreadable");
  }

  #tell() {
    this.dispatchEvent(new Event("change"));
  }
}

// An upload that stopped goes on once what stopped it is over.
const resumeAfter = (isCause) => () => {
  for (const upload of uploads.values()) if (upload.problem && !upload.isOver && isCause(upload.problem)) upload.send();
};
addEventListener("online", resumeAfter((problem) => problem.isOffline));
addEventListener("signed-in", resumeAfter((problem) => problem.needsKey));

// Uploads an archive or a manifest, which the server reads; resolves to its job.
export async function sendSource(file, { kind, columns, options, onShare, signal }) {
  await needReadable(file);
  const form = new FormData();
  form.append("file", file, file.name);
  form.append("kind", kind);
  for (const [name, value] of Object.entries(options)) form.append(name, value);
  if (kind === "manifest") form.append("columns", JSON.stringify(columns));
  return post("/v1/jobs/upload", form, { onShare, signal });
}

function mark(batch, state, share) {
  for (const entry of batch) Object.assign(entry, { state, share });
}

// XMLHttpRequest, because fetch does not report upload progress.
function post(path, form, { key, onShare, signal }) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("POST", `.${path}`);
    request.responseType = "json";
    request.setRequestHeader("Accept", "application/json");
    if (key) request.setRequestHeader("Idempotency-Key", key);
    request.upload.onprogress = (event) => onShare(event.loaded / (event.total || 1));
    request.onerror = () => reject(new Problem(0, ""));
    request.onabort = () => reject(signal?.reason);
    signal?.addEventListener("abort", () => request.abort(), { once: true });
    request.onload = () => {
      const { status, response } = request;
      if (status >= 200 && status < 300) return resolve(response);
      return reject(problemFrom(status, request.statusText, response, request.getResponseHeader("Retry-After")));
    };
    request.send(form);
  });
}

async function patiently(call) {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await call();
    } catch (problem) {
      if (!problem.isPassing || attempt === TRIES) throw problem;
      const wait = Math.min(problem.retryAfterS ?? 0.5 * 2 ** attempt, LONGEST_WAIT_S);
      await new Promise((resolve) => { setTimeout(resolve, wait * 1000); });
    }
  }
}
