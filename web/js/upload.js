// Adding photos: sends them, follows the job, and says what was refused and why.
import { getJob, getProblems, uploadPhotos } from "./api.js";
import { byId, element } from "./dom.js";
import { signInForm } from "./signin.js";
import { strings } from "./strings.js";

const POLL_MS = 400;
const ENDED = ["succeeded", "partly_failed", "failed", "cancelled"];

export async function addPhotos(files, onDone) {
  const view = openDialog(files.length);
  try {
    const job = await uploadPhotos(files, (sent) =>
      view.progress(strings.uploadSending(sent, files.length), 0),
    );
    const ended = await follow(job, view);
    const bad = ended.counts.refused + ended.counts.failed;
    view.end(strings.uploadDone(ended.counts), bad ? await getProblems(ended.job_id) : []);
    onDone(ended);
  } catch (problem) {
    if (problem.needsKey) {
      view.askForKey(() => addPhotos(files, onDone));
    } else {
      view.fail(problem.isOffline ? strings.offlineText : problem.message);
    }
  }
}

async function follow(job, view) {
  let now = job;
  while (!ENDED.includes(now.state)) {
    const text = now.reason
      ? strings.uploadWaiting(now.reason)
      : strings.uploadWorking(now.done, now.total);
    view.progress(text, now.done);
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    now = await getJob(job.job_id);
  }
  return now;
}

function openDialog(total) {
  const dialog = byId("upload");
  const text = element("p", { role: "status" }, strings.uploadSending(0, total));
  const bar = element("progress", { max: total, value: 0, ariaLabel: strings.uploadTitle });
  const list = element("ul", { className: "problems" });
  const head = element("p", { className: "bad", hidden: true }, strings.uploadProblems);
  const close = element(
    "button",
    { type: "button", className: "quiet", onclick: () => dialog.close() },
    strings.close,
  );
  dialog.replaceChildren(
    element(
      "div",
      { className: "dialog-head" },
      element("h2", { id: "upload-title" }, strings.uploadTitle),
      close,
    ),
    element("div", { className: "dialog-body" }, text, bar, head, list),
  );
  dialog.showModal();
  return {
    progress(words, done) {
      text.textContent = words;
      bar.value = done;
    },
    end(words, problems) {
      text.textContent = words;
      bar.value = total;
      head.hidden = problems.length === 0;
      list.replaceChildren(
        ...problems.map((item) =>
          element("li", {}, element("strong", {}, item.filename), item.reason || item.status),
        ),
      );
    },
    askForKey(goOn) {
      text.textContent = strings.signInText;
      bar.hidden = true;
      bar.after(
        signInForm(() => {
          dialog.close();
          goOn();
        }),
      );
    },
    fail(words) {
      text.textContent = words;
      text.classList.add("bad");
      bar.hidden = true;
    },
  };
}
