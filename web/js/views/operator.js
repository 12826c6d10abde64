// The operator's page: services, jobs, models, counts, duplicates.
import { getHealth, getStats, listJobs } from "../api.js";
import { barChart } from "../chart.js";
import { byId, element } from "../dom.js";
import { connectDuplicates } from "../duplicates.js";
import { isEnded, jobRow } from "../jobs_list.js";
import { problemMessage } from "../messages.js";
import { showModels } from "../models.js";
import { strings } from "../strings.js";

const said = strings.operator;
const LIVE_MS = 3000;
let timer = 0;
let isRunning = false; // Whether a job is, as far as is known.

export function connect() {
  byId("operator-refresh").addEventListener("click", show);
  connectDuplicates();
}

export function hide() {
  clearTimeout(timer);
}

export async function show() {
  document.title = strings.titles.operator;
  clearTimeout(timer);
  showBoard(true);
  await Promise.all([fill("operator-health", health), fill("operator-stats", stats), showJobs(), showModels(byId("operator-models"))]);
}

// Each section loads independently and shows its own errors.
async function fill(id, make, again = () => fill(id, make)) {
  const place = byId(id);
  if (!place.childElementCount) place.replaceChildren(element("div.bone"));
  try {
    place.replaceChildren(...(await make()));
  } catch (problem) {
    if (problem.needsKey) showBoard(false, problemMessage(problem, show));
    else place.replaceChildren(problemMessage(problem, again));
  }
}

// Without a key every section would ask for it: the page does, once.
function showBoard(isShown, instead = "") {
  byId("operator-board").hidden = !isShown;
  byId("operator-instead").replaceChildren(instead);
}

async function showJobs() {
  await fill("operator-jobs", async () => {
    const { items } = await listJobs(20);
    isRunning = items.some((job) => !isEnded(job));
    return [items.length ? element("ul.jobs", {}, items.map(jobRow)) : element("p.soft", {}, strings.add.none)];
  }, showJobs);
  // Only while something changes and the page is visible; one timer, however many calls there were.
  clearTimeout(timer);
  if (isRunning && !byId("operator-view").hidden) timer = setTimeout(showJobs, LIVE_MS);
}

async function health() {
  const { status, checks } = await getHealth();
  const parts = Object.entries(checks).map(([name, answer]) =>
    element(`li.part.${answer === "ok" ? "good" : "down"}`, {}, name, element("span.soft", {}, answer === "ok" ? said.ok : answer)));
  return [element("ul.parts", { "data-status": status }, parts)];
}

async function stats() {
  const counts = await getStats();
  const species = Object.entries(counts.by_species);
  const unsure = counts.images - species.reduce((sum, [, n]) => sum + n, 0);
  const tiles = [
    [strings.number(counts.images), strings.photos(counts.images).split(" ").slice(1).join(" ")],
    ...species.map(([name, n]) => [strings.number(n), name]),
    ...(unsure > 0 ? [[strings.number(unsure), strings.card.speciesUnsure]] : []),
  ];
  return [
    element("div.tiles", {}, tiles.map(([value, name]) => element("div.tile", {}, element("strong", {}, value), element("span", {}, element("bdi", {}, name))))),
    element("p.soft.model", {}, `${said.model}: `, element("code", {}, counts.model_id)),
    element("h3", {}, said.byBreed),
    counts.images ? barChart(counts.by_breed, "breed", said.allBreeds) : element("p.soft", {}, said.noBreeds),
  ];
}
