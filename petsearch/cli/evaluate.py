"""The command `petsearch evaluate`. What needs torch is imported when it runs."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from petsearch.cli.output import (
    Json,
    print_json,
    print_line,
    print_message,
    print_table,
    progress_bar,
)
from petsearch.domain.errors import StorageFull

if TYPE_CHECKING:
    from training.evaluation.evaluate import EvaluationOptions, Result

_DRAWINGS = "drawings"


def evaluate(
    *,
    model: Annotated[str, typer.Option(help="A model folder, hub:<arch>/<tag> or sample.")],
    data: Annotated[
        str, typer.Option(help="Labelled photos: a hub name or a folder; or `drawings`.")
    ],
    split: Annotated[str, typer.Option(help="Split of the data set.")] = "test",
    image_column: Annotated[
        str | None, typer.Option(help="Column with the photos; the first one by default.")
    ] = None,
    label_column: Annotated[str, typer.Option(help="Column with the breeds.")] = "label",
    baseline: Annotated[str | None, typer.Option(help="Another model to compare with.")] = None,
    template: Annotated[
        str | None, typer.Option(help='The single prompt: "a photo of a {}."')
    ] = None,
    forgetting: Annotated[
        str | None, typer.Option(help="Photos of other things: a data set, or NAME#SPLIT.")
    ] = None,
    forgetting_label_column: Annotated[str, typer.Option(help="Its column of labels.")] = "label",
    seed: Annotated[int, typer.Option(min=0, help="Seed of the resampling.")] = 0,
    out: Annotated[Path | None, typer.Option(help="Folder for the report.")] = None,
    as_json: Json = False,
) -> None:
    """Measure a model on labelled photos: breeds, text queries, photo queries, confidences."""
    if template is not None and "{}" not in template:
        raise typer.BadParameter("a template has {} where the name goes")
    from petsearch.calibration.resampling import Resampling
    from training.evaluation.evaluate import EvaluationOptions
    from training.evaluation.files import as_json as plain

    options = EvaluationOptions(
        model=_model_address(model),
        data=data,
        split=split,
        image_column=image_column,
        label_column=label_column,
        baseline=_model_address(baseline) if baseline else None,
        template=template,
        forgetting=forgetting,
        forgetting_label_column=forgetting_label_column,
        resampling=Resampling(seed=seed),
    )
    if data == _DRAWINGS:
        if out is not None or options != EvaluationOptions(options.model, data):
            raise typer.BadParameter("--data drawings takes no options but --model and --json")
        _evaluate_on_drawings(options.model, as_json=as_json)
        return
    if out is not None:
        _make(out)
    result = _measure(options)
    if out is not None:
        _write(result, out)
    if as_json:
        print_json(plain(result.evaluation))
    else:
        _print(result)


def _model_address(given: str) -> str:
    """`--model` also takes a folder without `dir:`."""
    is_address = given == "sample" or given.partition(":")[0] in ("dir", "hub")
    return given if is_address else f"dir:{given}"


def _measure(options: "EvaluationOptions") -> "Result":
    from training.evaluation.evaluate import Progress, evaluate, open_photos

    photos = open_photos(options)
    with progress_bar() as bar:
        task = bar.add_task("opening", total=len(photos) * (2 if options.baseline else 1))
        progress = Progress(
            photos=lambda count: bar.advance(task, count),
            step=lambda words: bar.update(task, description=words),
        )
        return evaluate(options, photos, progress)


def _make(folder: Path) -> None:
    """Make the folder of the report, so that one that cannot be is not found out after hours."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StorageFull(f"The report cannot be written to {folder}: {error.strerror}.") from error


def _write(result: "Result", folder: Path) -> None:
    from training.evaluation.files import json_text, markdown
    from training.evaluation.report_html import report

    files = {
        "evaluation.json": json_text(result.evaluation),
        "evaluation.md": markdown(result.evaluation),
        "report.html": report(result.evaluation, result.examples),
    }
    try:
        for name, content in files.items():
            (folder / name).write_text(content, encoding="utf-8")
    except OSError as error:
        raise StorageFull(f"The report cannot be written to {folder}: {error.strerror}.") from error
    print_message(f"Written: {', '.join(str(folder / name) for name in files)}")


def _print(result: "Result") -> None:
    from training.evaluation.files import figure_headers, figure_rows

    evaluation = result.evaluation
    print_table(figure_headers(evaluation), figure_rows(evaluation))
    print_line(f"Forgetting: {evaluation.forgetting.what}")
    for photo in evaluation.data.skipped:
        print_line(f"Skipped {photo.name}: {photo.reason}")
    for name, count in evaluation.data.not_named.items():
        print_line(f"Left out: {count} photos of {name}, for which the model has no label.")


def _evaluate_on_drawings(model: str, *, as_json: bool) -> None:
    from petsearch.adapters.clip.model import load_model
    from training.drawings.config import SAMPLE_CONFIG, read_config
    from training.drawings.evaluate import evaluate, report_rows

    config = read_config(SAMPLE_CONFIG)
    result = evaluate(load_model(model), config.evaluation, config.data.off_topic_held_out)
    if as_json:
        print_json(asdict(result))
    else:
        print_table(("figure", "relevant", "value"), report_rows(result))
