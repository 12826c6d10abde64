"""The command `petsearch evaluate`: measures a model on labelled photos, or on the drawings."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from petsearch.cli.output import messages, output, print_json, print_table, say
from petsearch.domain.errors import ConfigurationError, StorageFull

if TYPE_CHECKING:  # it brings torch
    from training.evaluation.evaluate import EvaluationOptions, Result

DRAWINGS = "drawings"


@dataclass(frozen=True)
class EvaluateCommand:
    """What was asked for."""

    model: str
    data: str
    split: str
    image_column: str | None
    label_column: str
    baseline: str | None
    template: str | None
    forgetting: str | None
    forgetting_label_column: str
    seed: int
    out: Path | None


def evaluate(command: EvaluateCommand, *, as_json: bool) -> None:
    """Measure, print the figures, and write the report if a folder is named.

    Raises:
        ConfigurationError: a model does not load, or what training needs is not installed.
        InvalidInput, NotFound: the data cannot be used.
        StorageFull: the report cannot be written.
    """
    try:
        import training.evaluation.evaluate  # noqa: F401  # so that what is absent is said first
    except ImportError as error:
        raise ConfigurationError(
            f"Evaluating needs {error.name}. Install it with: pip install 'petsearch[training]'"
        ) from error
    if command.data == DRAWINGS:
        _on_drawings(command, as_json=as_json)
        return
    from training.evaluation.files import as_json as plain

    result = _measure(_options(command))
    if command.out is not None:
        _write(result, command.out)
    if as_json:
        print_json(plain(result.evaluation))
    else:
        _print(result)


def model_address(given: str) -> str:
    """`--model` also takes a folder without its `dir:`."""
    is_address = given == "sample" or given.partition(":")[0] in ("dir", "hub")
    return given if is_address else f"dir:{given}"


def _options(command: EvaluateCommand) -> "EvaluationOptions":
    from training.evaluation.evaluate import EvaluationOptions
    from training.evaluation.resampling import Resampling

    return EvaluationOptions(
        model=model_address(command.model),
        data=command.data,
        split=command.split,
        image_column=command.image_column,
        label_column=command.label_column,
        baseline=model_address(command.baseline) if command.baseline else None,
        template=command.template,
        forgetting=command.forgetting,
        forgetting_label_column=command.forgetting_label_column,
        resampling=Resampling(seed=command.seed),
    )


def _measure(options: "EvaluationOptions") -> "Result":
    from training.evaluation.evaluate import Progress as Told
    from training.evaluation.evaluate import evaluate as run
    from training.evaluation.evaluate import open_photos

    photos = open_photos(options)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=messages) as bars:
        bar = bars.add_task("opening", total=len(photos) * (2 if options.baseline else 1))
        told = Told(
            photos=lambda count: bars.advance(bar, count),
            step=lambda words: bars.update(bar, description=words),
        )
        return run(options, photos, told)


def _write(result: "Result", folder: Path) -> None:
    from training.evaluation.files import json_text, markdown
    from training.evaluation.report_html import report

    files = {
        "evaluation.json": json_text(result.evaluation),
        "evaluation.md": markdown(result.evaluation),
        "report.html": report(result.evaluation, result.examples),
    }
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in files.items():
            (folder / name).write_text(content, encoding="utf-8")
    except OSError as error:
        raise StorageFull(f"The report cannot be written to {folder}: {error.strerror}.") from error
    say(f"Written: {', '.join(str(folder / name) for name in files)}")


def _print(result: "Result") -> None:
    from training.evaluation.files import figure_headers, figure_rows

    evaluation = result.evaluation
    rows = [tuple(row) for row in figure_rows(evaluation)]
    print_table(tuple(figure_headers(evaluation)), rows, empty="")
    output.print(f"Forgetting: {evaluation.forgetting.what}", highlight=False, soft_wrap=True)
    for photo in evaluation.data.skipped:
        output.print(f"Skipped {photo.name}: {photo.reason}", markup=False, soft_wrap=True)
    for name, count in evaluation.data.not_named.items():
        words = f"Left out: {count} photos of {name}, which the model has no label for."
        output.print(words, markup=False, soft_wrap=True)


def _on_drawings(command: EvaluateCommand, *, as_json: bool) -> None:
    from petsearch.adapters.clip.model import load_model
    from training.drawings.config import SAMPLE_CONFIG, read_config
    from training.drawings.evaluate import evaluate as run
    from training.drawings.evaluate import report

    config = read_config(SAMPLE_CONFIG)
    model = load_model(model_address(command.model))
    result = run(model, config.evaluation, config.data.off_topic_held_out)
    if as_json:
        print_json(asdict(result))
    else:
        output.print(report(result))
