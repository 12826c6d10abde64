"""The command `petsearch finetune`. What needs torch is imported when it runs."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from petsearch.atomic_file import write_atomically
from petsearch.cli.output import (
    print_line,
    print_message,
    print_progress,
    print_table,
    progress_bar,
)
from petsearch.domain.errors import ConfigurationError

if TYPE_CHECKING:
    from training.drawings import DrawingsConfig
    from training.finetuning import FinetuningConfig, FinetuningResult, Progress
    from training.finetuning.trainer import Step
    from training.finetuning.validation import ValidationFigures

_LOG_EVERY = 20


def finetune(
    *,
    config: Annotated[Path, typer.Option(help="A TOML file; see training/configs.")],
    out: Annotated[
        Path, typer.Option(help="The model folder to write; an interrupted run is continued.")
    ],
    base: Annotated[
        str, typer.Option(help="hub:<arch>/<tag> or dir:<folder>, instead of the file's.")
    ] = "",
    data: Annotated[
        str, typer.Option(help="Hub name or folder of labelled photos, instead of the file's.")
    ] = "",
) -> None:
    """Fine-tune a model on labelled photos and write it as a model folder."""
    from training.drawings import DrawingsConfig
    from training.finetuning import read_any_config

    settings = read_any_config(config)
    if not isinstance(settings, DrawingsConfig):
        _train_on_photos(settings, config, base, data, out)
        return
    if base or data:
        raise ConfigurationError(
            f"{config.name} trains on drawings from scratch: it takes no --base and no --data."
        )
    _train_on_drawings(settings, out)


def _train_on_drawings(settings: "DrawingsConfig", out: Path) -> None:
    from training.drawings import train_from_scratch
    from training.drawings.evaluate import report_rows
    from training.runs import current_commit

    with progress_bar() as bar:
        task = bar.add_task("drawing", total=settings.optimisation.steps)

        def show(number: int, loss: float) -> None:
            bar.update(task, advance=1, description=f"loss {loss:.3f}")
            if number % _LOG_EVERY == 0:
                print_progress(f"step {number}, loss {loss:.3f}")

        commit = current_commit(Path(__file__).parent)
        result = train_from_scratch(settings, out, time.monotonic, commit, show)
    print_table(("figure", "relevant", "value"), report_rows(result))


def _train_on_photos(
    settings: "FinetuningConfig", config: Path, base: str, data: str, out: Path
) -> None:
    from training import finetuning
    from training.runs import current_commit

    settings, written = finetuning.override(settings, base, data), config.read_bytes()
    with _progress() as progress:
        result = finetuning.finetune(settings, out, current_commit(Path(__file__).parent), progress)
    # Only now: a run that fails leaves the configuration of the model that is there.
    write_atomically(out / "config.toml", written)
    _print(result, out)


@contextmanager
def _progress() -> Iterator["Progress"]:
    from training.finetuning import Progress

    with progress_bar() as bar:
        task = bar.add_task("starting", total=None)

        def begin(what: str, total: int, done: int) -> None:
            bar.reset(task, description=what, total=total, completed=done)
            print_progress(f"{what}: {total}")

        def step(made: "Step") -> None:
            bar.update(task, advance=1, description=f"epoch {made.epoch + 1}, loss {made.loss:.3f}")
            if made.number % _LOG_EVERY == 0:
                print_progress(f"step {made.number}, loss {made.loss:.3f}")

        def epoch(number: int, figures: "ValidationFigures") -> None:
            print_message(
                f"epoch {number + 1}: validation loss {figures.loss:.3f}, "
                f"top-1 {figures.top1:.3f}, P@5 {figures.precision_at_5:.3f}"
            )

        yield Progress(begin, lambda count: bar.update(task, advance=count), step, epoch)


def _print(result: "FinetuningResult", out: Path) -> None:
    figures = {
        "loss": "loss",
        "top-1": "top1",
        "text-to-image P@5": "precision_at_5",
        "text-to-image mAP": "mean_average_precision",
    }
    rows = [
        (name, f"{getattr(result.before, field):.3f}", f"{getattr(result.after, field):.3f}")
        for name, field in figures.items()
    ]
    validation, photos = result.setup.split.validation, result.setup.photos
    print_table((f"{len(validation)} validation photos", "base", "fine-tuned"), rows)
    for photo in photos.broken:
        print_message(f"Left out: {photo.name}. {photo.reason}")
    if photos.photos.skipped:
        print_message(f"Left out: {len(photos.photos.skipped)} photos without a label.")
    print_message(f"WiSE-FT share of fine-tuned weights: {result.interpolation.share}.")
    print_message(f"Peak memory: {result.memory}.")
    print_line(f"Written to {out}.")
