// The models section of the operator's page, hidden from those who may not change them.
import { dropCollection, getModels, listJobs, promoteModel, rollBackModel, startReindex } from "./api.js";
import { button, element } from "./dom.js";
import { isEnded, progressBar, reindexedModel } from "./jobs_list.js";
import { confirmed, inWords, problemMessage, toast } from "./messages.js";
import { strings } from "./strings.js";
import { EMPTY, format } from "./url_state.js";

const said = strings.operator;

export async function showModels(section) {
  const place = section.querySelector(".models");
  try {
    const [models, jobs] = await Promise.all([getModels(), listJobs(20)]);
    const running = jobs.items.filter((job) => !isEnded(job));
    const again = () => showModels(section);
    place.replaceChildren(...models.items.map((model) => row(model, models.items, running, again)));
    section.hidden = models.items.length === 0;
  } catch (problem) {
    section.hidden = [401, 403, 404].includes(problem.status);
    place.replaceChildren(section.hidden ? "" : problemMessage(problem, () => showModels(section)));
  }
}

function row(model, all, running, again) {
  const bad = element("p.bad", { role: "alert" });
  const job = running.find((one) => reindexedModel(one) === model.model_id);
  const act = async (work, done) => {
    bad.textContent = "";
    try {
      const answer = await work();
      toast(done(answer));
    } catch (problem) {
      bad.textContent = inWords(problem); // The reason if the gate rejects it.
      return;
    }
    dispatchEvent(new Event("photos-changed"));
    again();
  };
  return element("div.model-row", {},
    element("div.model-name", {}, element("code", {}, element("bdi", {}, model.model_id)), ...badges(model)),
    element("p.soft", {}, factsInWords(model)),
    job ? progress(job) : null,
    element("div.actions", {}, actions(model, all, job, act)),
    bad);
}

function badges(model) {
  const made = [];
  if (model.current) made.push(element("span.state.succeeded", {}, said.current));
  if (model.previous) made.push(element("span.state.cancelled", {}, said.previous));
  return made;
}

function factsInWords(model) {
  const parts = [model.images === null ? said.noCollection : strings.photos(model.images)];
  if (model.published_at) parts.push(said.published(strings.date(model.published_at)));
  if (!model.loaded) parts.push(said.notLoaded);
  for (const [name, value] of Object.entries(model.figures)) parts.push(said.figure(name, value));
  return parts.join(" · ");
}

function progress(job) {
  const link = element("a", { href: format({ ...EMPTY, job: job.job_id }) },
    said.reindexed(job.done, Math.max(job.expected ?? 0, job.total)));
  return element("div", {}, progressBar(job), link);
}

function actions(model, all, job, act) {
  const id = model.model_id;
  if (model.current) {
    const before = all.find((other) => other.previous);
    return before ? [button("quiet", said.rollback, () => rollBack(before.model_id, act))] : [];
  }
  const made = [];
  if (model.published && !job) made.push(button("quiet", said.reindex, () => act(() => startReindex(id), () => said.reindexStarted(id))));
  if (model.images !== null && !job) made.push(button("primary", said.promote, () => promote(id, act)));
  if (model.images !== null) made.push(button("quiet", said.drop, () => drop(id, act)));
  return made;
}

async function promote(id, act) {
  const { promoteTitle: title, promoteText, promote: yes } = said;
  if (await confirmed({ title, text: promoteText(id), yes, no: strings.cancel })) {
    await act(() => promoteModel(id), (moved) => said.moved(moved.model_id, moved.took_ms));
  }
}

async function rollBack(id, act) {
  const { rollbackTitle: title, rollbackText, rollback: yes } = said;
  if (await confirmed({ title, text: rollbackText(id), yes, no: strings.cancel })) {
    await act(rollBackModel, (moved) => said.moved(moved.model_id, moved.took_ms));
  }
}

async function drop(id, act) {
  const { dropTitle: title, dropText, drop: yes } = said;
  if (await confirmed({ title, text: dropText(id), yes, no: strings.cancel })) {
    await act(() => dropCollection(id), () => said.dropped(id));
  }
}
