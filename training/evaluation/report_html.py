"""The report of an evaluation: one HTML file that asks no other file or host for anything."""

import base64
from collections.abc import Sequence
from html import escape

from training.evaluation import report_svg
from training.evaluation.figures import Confusion, Evaluation, Figure
from training.evaluation.files import figure_rows, prompts_of, task_of, with_interval

_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
_STYLE = """
:root { color-scheme: light dark; --ink: #1d2430; --soft: #5b6676; --line: #d9dee6; --page: #f6f7f9;
  --card: #fff; --own: #1f6f8b; --base: #b0722c; --wrong: #c2413a; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e9ee; --soft: #9aa5b4; --line: #333c48;
  --page: #12161c; --card: #1a2028; --own: #5bb8d4; --base: #e0a45c; --wrong: #f07b72; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--page); color: var(--ink);
  font: 15px/1.5 system-ui, -apple-system, "Segoe UI", sans-serif; }
main { max-width: 1080px; margin: 0 auto; padding: 32px 20px 64px; }
h1 { font-size: 1.6rem; margin: 0 0 4px; overflow-wrap: anywhere; }
h2 { font-size: 1.15rem; margin: 0 0 4px; }
section { background: var(--card); border: 1px solid var(--line); border-radius: 10px;
  padding: 20px; margin-top: 18px; overflow-x: auto; }
p { margin: 4px 0 10px; max-width: 76ch; } .soft, figcaption { color: var(--soft); }
.cards { display: grid; grid-template-columns: repeat(auto-fit, minmax(150px, 1fr)); gap: 12px;
  margin-top: 18px; }
.cards div { background: var(--card); border: 1px solid var(--line); border-radius: 10px;
  padding: 14px 16px; }
.cards strong { display: block; font-size: 1.7rem; line-height: 1.2; font-weight: 650; }
.cards span { color: var(--soft); font-size: .85rem; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { text-align: left; padding: 5px 10px 5px 0; border-bottom: 1px solid var(--line);
  vertical-align: top; } th { color: var(--soft); font-weight: 600; font-size: .85rem; }
td.n, th.n { text-align: right; white-space: nowrap; }
.pair { display: grid; grid-template-columns: minmax(150px, 2fr) 5fr; gap: 12px;
  padding: 10px 0; border-top: 1px solid var(--line); align-items: center; }
.pair div { display: flex; gap: 6px; flex-wrap: wrap; }
.pair img { height: 92px; border-radius: 6px; display: block; }
.curves { display: flex; flex-wrap: wrap; gap: 22px; } figure { margin: 0; max-width: 234px; }
figcaption { font-size: .85rem; }
svg { max-width: 100%; height: auto; } svg.bar { vertical-align: middle; }
svg text { fill: var(--ink); font-size: 12.5px; }
svg .small { font-size: 10.5px; fill: var(--soft); }
svg .label, svg .end { text-anchor: end; } svg .middle { text-anchor: middle; }
svg .grid, svg .frame { stroke: var(--line); fill: none; }
svg .diagonal { stroke: var(--soft); stroke-dasharray: 4 4; }
svg line.own { stroke: var(--own); stroke-width: 2; }
svg line.base { stroke: var(--base); stroke-width: 2; }
svg circle.own, svg rect.own, svg rect.right { fill: var(--own); }
svg circle.base { fill: var(--card); stroke: var(--base); stroke-width: 2; }
svg rect.wrong { fill: var(--wrong); } svg rect.track { fill: var(--line); }
svg .line { fill: none; stroke: var(--own); stroke-width: 1.5; }
.key b { display: inline-block; width: 10px; height: 10px; border-radius: 50%;
  margin: 0 5px 0 12px; }
.key .o { background: var(--own); } .key .b { border: 2px solid var(--base); }
details summary { cursor: pointer; color: var(--soft); }
"""


def report(evaluation: Evaluation, examples: Sequence[Sequence[bytes]]) -> str:
    """HTML; `examples` are JPEGs for each of the evaluation's confusions."""
    data = evaluation.data
    title = f"{evaluation.model.model_id} on {data.name}"
    parts = [
        f"<h1>{escape(title)}</h1>",
        f'<p class="soft">{_summary(evaluation)}</p>',
        _cards(evaluation),
        _figures(evaluation),
        _section("Worst confusions", _CONFUSIONS_SAID, _confusions(evaluation, examples)),
        _section(
            "Confusion matrix",
            "Rows: what a photo shows. Columns: what it was taken for. Single prompt; the darker, "
            "the larger the share of the row.",
            report_svg.confusion(evaluation.confusion, evaluation.class_names),
        ),
        _section("Class by class", "Single prompt; the weakest recall first.", _breeds(evaluation)),
        _reliability(evaluation),
        _section("Forgetting", evaluation.forgetting.what, _forgetting(evaluation)),
        _section(
            "Throughput", "As the model is served, median of five rounds.", _speed(evaluation)
        ),
        _section("Left out", "", _left_out(evaluation)),
        _section("Protocol", "", _protocol(evaluation)),
    ]
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{_STYLE}</style></head>"
        f"<body><main>{''.join(parts)}</main></body></html>\n"
    )


_CONFUSIONS_SAID = "The photos are those that the model is surest about."
_CARDS = (
    ("classification.single.top1", "top-1, single prompt"),
    ("classification.single.per_class", "mean per-class recall"),
    ("text_to_image.single.p5", "text to image, P@5"),
    ("text_to_image.single.map", "text to image, mAP"),
    ("image_to_image.p5", "photo to photo, P@5"),
    ("image_to_image.map", "photo to photo, mAP"),
)


def _summary(evaluation: Evaluation) -> str:
    data = evaluation.data
    said = (
        f"{data.photos} photos of {len(evaluation.class_names)} classes, split {data.split}; "
        f"{evaluation.model.precision} on {evaluation.model.device}."
    )
    if evaluation.baseline:
        said += f" Baseline: {evaluation.baseline.model_id}."
    return escape(said)


def _cards(evaluation: Evaluation) -> str:
    figures = {figure.key: figure for figure in evaluation.figures}
    cards = [
        f"<div><strong>{figures[key].estimate.value:.3f}</strong><span>{escape(words)}"
        f"{_against(figures[key])}</span></div>"
        for key, words in _CARDS
        if key in figures
    ]
    return f'<div class="cards">{"".join(cards)}</div>'


def _against(figure: Figure) -> str:
    return f"<br>{figure.difference.value:+.3f} to the baseline" if figure.difference else ""


def _figures(evaluation: Evaluation) -> str:
    figures = [*evaluation.figures]
    labels = [f"{task_of(f)}{_prompt_name(f)}: {f.metric}" for f in figures]
    key = ""
    if evaluation.baseline:
        key = (
            f'<p class="key soft"><b class="o"></b>{escape(evaluation.model.model_id)}'
            f'<b class="b"></b>{escape(evaluation.baseline.model_id)}</p>'
        )
    headers = ["task", "prompt", "metric", "over", "value [95 %]"]
    headers += ["baseline", "difference"] if evaluation.baseline else []
    rows = _table(headers, [[escape(cell) for cell in row] for row in figure_rows(evaluation)])
    words = (
        f"Points with 95 % of {evaluation.resamples} bootstrap resamples of photos or queries "
        f"(seed {evaluation.seed})."
    )
    plot = key + report_svg.intervals(figures, labels)
    return _section(
        "Figures", words, f"{plot}<details><summary>As a table</summary>{rows}</details>"
    )


def _prompt_name(figure: Figure) -> str:
    templates = figure.protocol.templates
    return "" if not templates else ", single" if len(templates) == 1 else ", ensemble"


def _confusions(evaluation: Evaluation, examples: Sequence[Sequence[bytes]]) -> str:
    pairs = zip(evaluation.confusions, examples, strict=True)
    return "".join(_pair(confusion, photos) for confusion, photos in pairs) or "<p>None.</p>"


def _pair(confusion: Confusion, photos: Sequence[bytes]) -> str:
    words = f"{escape(confusion.truth)} <span class=soft>taken for</span> "
    words += f"{escape(confusion.taken_for)}"
    pictures = "".join(
        f'<img alt="{escape(confusion.truth)}" src="data:image/jpeg;base64,'
        f'{base64.b64encode(photo).decode()}">'
        for photo in photos
    )
    share = f"{confusion.count} of {confusion.photos} photos"
    return (
        f'<div class="pair"><p>{words}<br><span class="soft">{share}</span></p>'
        f"<div>{pictures}</div></div>"
    )


def _breeds(evaluation: Evaluation) -> str:
    headers = ["class", "species", "photos", "recall", "", "precision", "P@5", "AP"]
    headers += ["baseline recall"] if evaluation.baseline else []
    rows = []
    for row in sorted(evaluation.breeds, key=lambda one: (one.recall, one.breed)):
        cells = [escape(row.breed), escape(row.species or ""), str(row.photos)]
        cells += [f"{row.recall:.3f}", report_svg.bar(row.recall), _share(row.precision)]
        cells += [_share(row.precision_at_5), f"{row.average_precision:.3f}"]
        cells += [_share(row.baseline_recall)] if evaluation.baseline else []
        rows.append(cells)
    return _table(headers, rows)


def _reliability(evaluation: Evaluation) -> str:
    held = evaluation.reliability
    figures = "".join(
        f"<figure>{report_svg.reliability(curve)}<figcaption>{escape(curve.kind)}: error "
        f"{curve.expected_calibration_error:.3f}, Brier {curve.brier:.3f}, "
        f"{curve.count} results</figcaption></figure>"
        for curve in held.curves
    )
    words = (
        "Ten bins of equally many results. On the dashed line, confidence is the share that is "
        "right. The curves of queries were fitted on every second photo of each class and are read "
        "on the others."
    )
    if held.not_fitted:
        words = f"Ten bins of equally many results. Queries were not calibrated: {held.not_fitted}"
    return _section("Do confidences hold?", words, f'<div class="curves">{figures}</div>')


def _forgetting(evaluation: Evaluation) -> str:
    figure = evaluation.forgetting.figure
    if figure is None:
        return ""
    row = [figure.metric, f"{figure.count} {figure.unit}", with_interval(figure.estimate)]
    headers = ["metric", "over", "value [95 %]"]
    if figure.baseline and figure.difference:
        row += [with_interval(figure.baseline), with_interval(figure.difference, signed=True)]
        headers += ["baseline", "difference"]
    return _table(headers, [[escape(cell) for cell in row]])


def _speed(evaluation: Evaluation) -> str:
    speed = evaluation.throughput
    row = [
        f"{speed.photos_per_s:.0f}",
        f"{speed.decoded_per_s:.0f}",
        f"{speed.texts_per_s:.0f}",
        escape(speed.device),
        escape(speed.precision),
        str(speed.batch_size),
    ]
    headers = ["photos/s encoded", "photos/s decoded (one thread)", "texts/s"]
    return _table([*headers, "device", "precision", "batch"], [row])


def _left_out(evaluation: Evaluation) -> str:
    data = evaluation.data
    rows = [[escape(photo.name), escape(photo.reason)] for photo in data.skipped]
    rows += [
        [f"{count} photos of {escape(name)}", "The model has no label for this class."]
        for name, count in data.not_named.items()
    ]
    return _table(["what", "why"], rows) if rows else "<p>Nothing: every photo was measured.</p>"


def _protocol(evaluation: Evaluation) -> str:
    data = evaluation.data
    templates = {figure.protocol.templates: prompts_of(figure) for figure in evaluation.figures}
    lines = [
        f"Data: {data.name}, split {data.split}, images in column {data.image_column}, labels in "
        f"column {data.label_column}.",
        f"Model: {evaluation.model.model_id}, {evaluation.model.dim} dimensions, "
        f"{evaluation.model.image_size} px, {evaluation.model.precision}.",
        f"Class names ({len(evaluation.class_names)}): {', '.join(evaluation.class_names)}.",
        *(f"Templates: {'; '.join(several)}" for several in templates if several),
        "Text queries: each class name in its template, all photos ranked. Photo queries: every "
        "photo, the others ranked, relevant if of the same class.",
    ]
    return "".join(f"<p>{escape(line)}</p>" for line in lines)


def _section(title: str, words: str, body: str) -> str:
    said = f'<p class="soft">{escape(words)}</p>' if words else ""
    return f"<section><h2>{escape(title)}</h2>{said}{body}</section>"


def _table(headers: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    head = "".join(f"<th>{escape(header)}</th>" for header in headers)
    body = "".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>" for row in rows)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _share(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"
