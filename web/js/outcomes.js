// The outcomes of a job: photos that were not added and why, and every file being uploaded.
import { getImage, getItems } from "./api.js";
import { thumbnailLink } from "./card.js";
import { button, element } from "./dom.js";
import { inWords, toast } from "./messages.js";
import { strings } from "./strings.js";

const said = strings.job;
const MOST_ROWS = 500;
const MOST_PICTURES = 24;
const tell = (problem) => toast(inWords(problem));

// Two lists, refused and failed; `load` fetches those that are not empty.
export function problemLists() {
  const lists = { failed: problemList("failed"), refused: problemList("refused") };
  return {
    element: element("div", {}, lists.failed.element, lists.refused.element),
    load: (jobId, counts) =>
      Promise.all(Object.entries(lists).map(([status, list]) => list.load(jobId, status, counts[status]))),
  };
}

function problemList(kind) {
  const rows = element("ul.problems");
  const head = element("h2", {}, said[kind]);
  const more = element("div.actions");
  const section = element(`section.panel.${kind}`, { hidden: true, "aria-label": said[kind] },
    head, element("p.soft", {}, said[`${kind}Text`]), rows, more);
  const append = async (jobId, cursor) => {
    const page = await getItems(jobId, { status: kind, cursor });
    if (!cursor) rows.replaceChildren();
    rows.append(...page.items.map(problemRow));
    more.replaceChildren(...(page.next_cursor
      ? [button("quiet", strings.results.more, () => append(jobId, page.next_cursor).catch(tell))] : []));
  };
  return {
    element: section,
    load: async (jobId, _status, count) => {
      section.hidden = !count;
      head.textContent = `${said[kind]} (${strings.number(count)})`;
      if (count) await append(jobId, null);
    },
  };
}

// The photos that a job added, as pictures; filled once, when it has ended.
export function addedPhotos() {
  const grid = element("ul.grid.row");
  const note = element("p.soft");
  const section = element("section.strip.added", { hidden: true, "aria-label": said.added },
    element("h2", {}, said.added), grid, note);
  return {
    element: section,
    load: async (jobId, count) => {
      if (!count || !section.hidden) return;
      const page = await getItems(jobId, { status: "ingested", limit: MOST_PICTURES });
      const ids = page.items.map((item) => item.image_id).filter(Boolean);
      const found = await Promise.all(ids.map((id) => getImage(id).then(({ image }) => image, () => null)));
      const images = found.filter(Boolean); // Others were deleted since.
      if (!images.length) return;
      grid.replaceChildren(...images.map((image) => element("li.card.small", {}, thumbnailLink(image))));
      note.textContent = count > images.length ? said.addedSome(images.length, count) : "";
      section.hidden = false;
    },
  };
}

function problemRow(item) {
  const details = [item.stage && said.stage(item.stage), item.attempts > 1 && said.attempts(item.attempts)];
  return element("li", {}, element("strong", {}, element("bdi", {}, item.filename)),
    element("span", {}, item.reason || said.noReason),
    element("span.soft", {}, details.filter(Boolean).join(" · ")));
}

// The files that this page uploads.
export function fileList(upload) {
  const shown = upload.files.slice(0, MOST_ROWS);
  const rows = shown.map(({ name, size }) => ({
    state: element("span.file-state"),
    bar: element("progress", { max: 1, value: 0, "aria-label": name }),
    name: element("bdi", {}, name),
    size: element("span.soft", {}, strings.megabytes(size)),
  }));
  const rest = upload.files.length - shown.length;
  const list = element("ul.files", {}, rows.map(({ name, size, bar, state }) => element("li", {}, name, size, bar, state)));
  const section = element("section.panel", { "aria-label": said.files }, element("h2", {}, said.files), list,
    rest > 0 ? element("p.soft", {}, said.moreFiles(rest)) : null);
  const render = () => shown.forEach((entry, n) => renderRow(rows[n], entry));
  return { element: section, render, load: (jobId) => loadOutcomes(jobId, upload.files).then(render) };
}

function renderRow(row, entry) {
  const text = entry.state === "sending" ? said.file.sending(entry.share) : said.file[entry.state];
  if (row.state.textContent === text) return;
  row.state.textContent = text;
  row.state.className = `file-state ${entry.state}`;
  row.bar.value = entry.share;
  row.bar.hidden = !["waiting", "sending"].includes(entry.state);
}

async function loadOutcomes(jobId, files) {
  const byItem = new Map(files.map((entry) => [entry.itemNo, entry]));
  let cursor = null;
  do {
    const page = await getItems(jobId, { cursor, limit: 1000 });
    for (const item of page.items) if (byItem.has(item.item_no)) byItem.get(item.item_no).state = item.status;
    cursor = page.next_cursor ?? null;
  } while (cursor);
}
