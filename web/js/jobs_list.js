// Jobs as rows: state, progress, counts of outcomes.
import { element } from "./dom.js";
import { strings } from "./strings.js";
import { EMPTY, format } from "./url_state.js";
import { SOURCE } from "./upload.js";

const said = strings.job;
export const ENDED = ["succeeded", "partly_failed", "failed", "cancelled"];
export const isEnded = (job) => ENDED.includes(job.state);

// The model that a reindex is for; null for a job that adds photos.
export const reindexedModel = (job) => /^reindex for (\S+)$/.exec(job.source)?.[1] ?? null;

export const sourceOf = (job) => (job.source === SOURCE ? said.sourcePage : job.source);
export const stateBadge = (job) => element(`span.state.${job.state}`, {}, said.states[job.state]);

// Nothing is added to a sealed job: what was announced and not sent is no part of it.
export const sizeOf = (job) => (job.sealed ? job.total : Math.max(job.expected ?? 0, job.total));

export function progressBar(job) {
  const total = sizeOf(job);
  const known = total > 0 && (job.sealed || job.expected);
  return element("progress", { "aria-label": sourceOf(job), max: total || 1, ...(known || isEnded(job) ? { value: total ? job.done : 1 } : {}) });
}

export function jobRow(job) {
  return element("li.job", {},
    element("a.job-link", { href: format({ ...EMPTY, job: job.job_id }) },
      element("span.job-name", {}, element("bdi", {}, sourceOf(job))),
      stateBadge(job),
      element("span.soft", {}, said.ended(job.counts)),
      element("time.soft", { dateTime: job.created_at }, strings.ago(job.created_at)),
      isEnded(job) ? null : progressBar(job)));
}
