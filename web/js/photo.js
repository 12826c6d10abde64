// The dialog that shows one photo large, with what is known about it.
import { byId, element } from "./dom.js";
import { strings } from "./strings.js";

export function openPhoto(item, moreLike) {
  const dialog = byId("photo");
  const title = item.breed || item.filename;
  dialog.replaceChildren(
    element(
      "div",
      { className: "dialog-head" },
      element("h2", { id: "photo-title" }, title),
      element(
        "button",
        { type: "button", className: "quiet", onclick: () => dialog.close() },
        strings.close,
      ),
    ),
    element(
      "div",
      { className: "large" },
      element("img", { src: item.urls.display, alt: title, width: item.width, height: item.height }),
    ),
    element(
      "div",
      { className: "dialog-body" },
      facts(item),
      element(
        "div",
        { className: "actions" },
        element(
          "button",
          {
            type: "button",
            className: "primary",
            onclick: () => {
              dialog.close();
              moreLike(item);
            },
          },
          strings.moreLikeThis,
        ),
      ),
    ),
  );
  dialog.showModal();
}

function facts(item) {
  const breed =
    item.breed_source === "predicted"
      ? strings.predictedInFull(item.breed, item.predicted.confidence)
      : item.breed;
  const rows = [
    [strings.facts.breed, breed],
    [strings.facts.species, item.species],
    [strings.facts.status, item.status],
    [strings.facts.animal, item.animal_id],
    [strings.facts.tags, item.tags.join(", ")],
    [strings.facts.taken, item.taken_at && new Date(item.taken_at).toLocaleString("en")],
    [strings.facts.added, new Date(item.created_at).toLocaleString("en")],
    [strings.facts.size, `${item.width} × ${item.height}`],
    [strings.facts.filename, item.filename],
  ];
  const shown = rows.filter(([, value]) => value);
  return element(
    "dl",
    {},
    ...shown.flatMap(([name, value]) => [element("dt", {}, name), element("dd", {}, value)]),
  );
}
