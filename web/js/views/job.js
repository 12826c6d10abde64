// One job, kept current by events across reloads and lost connections.
import { controlJob, getItems, getJob } from "../api.js";
import { byId, button, element } from "../dom.js";
import { isEnded, progressBar, reindexedModel, sizeOf, sourceOf, stateBadge } from "../jobs_list.js";
import { confirmed, inWords, problemMessage, toast } from "../messages.js";
import { addedPhotos, fileList, problemLists } from "../outcomes.js";
import { openSignIn, signInForm } from "../session.js";
import { follow } from "../sse.js";
import { strings } from "../strings.js";
import { EMPTY, format } from "../url_state.js";
import { SOURCE, uploads } from "../upload.js";

const said = strings.job;
const BETWEEN_LOADS_MS = 2000;
const RECENT_MS = 60_000;
const SHOWN_NAMES = 10;
let stop = () => undefined;
let shown = null;

export function hide() {
  stop();
  shown?.left.abort();
  shown = null;
}

export async function show({ job: jobId }) {
  hide();
  document.title = strings.titles.job;
  const view = new JobView(jobId);
  shown = view;
  byId("job-view").replaceChildren(element("p.loading", {}, strings.loading));
  try {
    const job = await getJob(jobId);
    if (shown !== view) return;
    view.take(job);
  } catch (problem) {
    if (shown !== view) return;
    byId("job-view").replaceChildren(problemMessage(problem, () => show({ job: jobId })));
    return;
  }
  view.start();
}

class JobView {
  constructor(jobId) {
    this.jobId = jobId;
    this.job = null;
    this.upload = uploads.get(jobId) ?? null;
    this.parts = Object.fromEntries(["head", "progress", "counts", "left-out", "notice", "actions", "line"].map(
      (name) => [name, element(`div.job-${name}`)]));
    this.parts.actions.classList.add("actions");
    this.parts.line.setAttribute("role", "status");
    this.problems = problemLists();
    this.added = addedPhotos();
    this.files = this.upload ? fileList(this.upload) : null;
    this.left = new AbortController();
    this.countsSeen = "";
    this.choicesSeen = "";
    this.isLoading = false;
  }

  start() {
    const { head, progress, counts, notice, actions, line, "left-out": leftOut } = this.parts;
    byId("job-view").replaceChildren(head, element("div.panel", {}, progress, line, counts, leftOut, notice, actions),
      this.added.element, this.problems.element, ...(this.files ? [this.files.element] : []));
    scrollTo(0, 0);
    const { signal } = this.left;
    const goOn = () => isEnded(this.job) || this.follow();
    this.upload?.addEventListener("change", () => this.render(), { signal });
    addEventListener("signed-in", goOn, { signal });
    goOn();
  }

  follow() {
    stop();
    stop = follow(`/v1/jobs/${encodeURIComponent(this.jobId)}/events`, {
      onEvent: (event) => {
        if (event.name === "job") this.take(JSON.parse(event.data));
        return isEnded(this.job);
      },
      onState: (state, seconds) => this.say(state === "live" ? said.live : said.reconnecting(seconds), state),
      onEnd: (problem) => this.say(problem ? inWords(problem) : "", problem ? "waiting" : "ended"),
    });
  }

  take(job) {
    const hasJustEnded = isEnded(job) && (this.job ? !isEnded(this.job) : isRecent(job.finished_at));
    this.job = job;
    if (this.upload && isEnded(job)) this.upload.isOver = true;
    this.render();
    this.loadOutcomes();
    if (hasJustEnded) dispatchEvent(new Event("photos-changed"));
  }

  // One request at a time, with pauses: the events of a large job arrive faster than its outcomes load, and
  // no event follows the last, if its outcomes did not load.
  async loadOutcomes() {
    if (this.isLoading) return;
    this.isLoading = true;
    for (let seen = this.#counts(); seen !== this.countsSeen && !this.left.signal.aborted; seen = this.#counts()) {
      try {
        const { refused, failed } = this.job.counts;
        await this.problems.load(this.jobId, { refused, failed });
        if (this.files) await this.files.load(this.jobId);
        if (isEnded(this.job)) await this.added.load(this.jobId, this.job.counts.ingested);
        this.countsSeen = seen;
      } catch (problem) {
        if (!problem.isPassing) this.countsSeen = seen; // The job's status shows it.
      }
      if (!isEnded(this.job) || this.countsSeen !== seen) await new Promise((resolve) => { setTimeout(resolve, BETWEEN_LOADS_MS); });
    }
    this.isLoading = false;
  }

  #counts() {
    return JSON.stringify([this.job.counts, isEnded(this.job)]);
  }

  say(text, state) {
    this.parts.line.className = `job-line ${state}`;
    this.parts.line.textContent = text;
  }

  render() {
    const { job, parts } = this;
    parts.head.replaceChildren(
      element("h1", {}, said.title(reindexedModel(job)), element("bdi", {}, sourceOf(job))), stateBadge(job));
    parts.progress.replaceChildren(progressBar(job), element("p.soft", {}, progressInWords(job)));
    parts.counts.replaceChildren(...Object.entries(said.counts).map(([name, words]) => tile(job.counts[name], words, name)));
    parts["left-out"].replaceChildren(...leftOutInWords(job.left_out, this.upload?.unreadable() ?? []));
    this.#renderChoices();
    this.files?.render();
  }

  // Only when they change: a button that is replaced while it is pressed receives no click.
  #renderChoices() {
    const { job, upload, parts } = this;
    const { state, reason, sealed, expected, counts } = job;
    const problem = upload?.problem && inWords(upload.problem);
    const choices = JSON.stringify([state, reason, sealed, expected, counts.failed, problem, upload ? 0 : job.total]);
    if (choices === this.choicesSeen) return;
    this.choicesSeen = choices;
    parts.notice.replaceChildren(...this.#notices());
    parts.actions.replaceChildren(...this.#actions());
  }

  #notices() {
    const { job, upload } = this;
    if (upload?.problem?.needsKey && !isEnded(job)) {
      return [notice(said.sendFailed, strings.session.endedText, signInForm(() => undefined))];
    }
    if (upload?.problem && !isEnded(job)) {
      return [notice(said.sendFailed, inWords(upload.problem), button("primary", said.resend, () => upload.send()))];
    }
    if (job.state === "paused") return [notice(said.pausedTitle, job.reason || said.pausedText)];
    if (!upload && !isEnded(job) && !job.sealed && job.source === SOURCE) {
      const finish = button("primary", said.finish, () => this.#control("seal"));
      return [notice(said.unsealedTitle, said.unsealedText(job.total, job.expected ?? job.total), finish)];
    }
    if (!isEnded(job) && job.reason) return [notice(said.waitingTitle, job.reason, element("p.soft", {}, said.goesOn))];
    if (job.state === "failed" && job.reason) return [notice(said.failedTitle, job.reason)];
    return [];
  }

  #actions() {
    const { job } = this;
    const act = (name, look = "quiet") => button(look, said.actions[name], () => this.#control(name));
    if (!isEnded(job)) {
      return [act(job.state === "paused" ? "resume" : "pause", job.state === "paused" ? "primary" : "quiet"),
        button("quiet", said.actions.cancel, () => this.#cancel())];
    }
    const retry = job.counts.failed
      ? [button("primary", said.retryOf(job.counts.failed), () => this.#control("retry"))] : [];
    return [...retry, link({ ...EMPTY }, said.seeNewest, retry.length ? "quiet" : "primary"),
      link({ ...EMPTY, page: "add" }, said.addMore, "quiet")];
  }

  async #cancel() {
    const sure = await confirmed({ title: said.cancelTitle, text: said.cancelText, yes: said.cancelDo, no: said.cancelKeep });
    if (sure) await this.#control("cancel");
  }

  async #control(action) {
    try {
      this.take(await controlJob(this.jobId, action));
      if (!isEnded(this.job)) this.follow();
    } catch (problem) {
      if (problem.needsKey) openSignIn(() => this.#control(action));
      else toast(inWords(problem));
    }
  }
}

const isRecent = (moment) => Date.now() - new Date(moment).valueOf() < RECENT_MS;

function progressInWords(job) {
  const total = sizeOf(job);
  const parts = [job.sealed || job.expected ? said.progress(job.done, total) : said.reading(job.done)];
  if (!isEnded(job) && job.rate_per_s) parts.push(said.rate(job.rate_per_s, strings.duration(job.eta_s ?? 0)));
  return parts.join(" · ");
}

// Entries that the server left out of its source, and files that this page left out of its upload.
function leftOutInWords({ counts, names: named }, unreadable) {
  const entries = Object.entries({ ...counts, unreadable: unreadable.length }).filter(([, n]) => n);
  const names = [...named, ...unreadable];
  if (!entries.length) return [];
  const all = entries.reduce((sum, [, n]) => sum + n, 0);
  const shown = names.slice(0, SHOWN_NAMES).map(({ name }) => name);
  if (all > shown.length) shown.push("…");
  const words = entries.map(([reason, n]) => said.leftOutOf[reason]?.(n) ?? `${n} ${reason}`);
  return [said.leftOut(words.join(", ")), element("bdi", {}, shown.join(", "))];
}

const tile = (count, words, kind) =>
  element(`div.tile.${count ? kind : "none"}`, {}, element("strong", {}, strings.number(count)), element("span", {}, words));

const notice = (title, text, ...more) =>
  element("div.notice", { role: "status" }, element("strong", {}, title), element("p", {}, text), ...more);

const link = (state, text, look) => element(`a.button.${look}`, { href: format(state) }, text);
