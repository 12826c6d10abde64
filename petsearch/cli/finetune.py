"""The command `petsearch finetune`: shows how training goes on, and what it came to."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

from petsearch.cli.output import messages, output, print_table, say
from petsearch.domain.errors import ConfigurationError

if TYPE_CHECKING:
    from training.finetuning.config import PhotoTrainingConfig
    from training.finetuning.run import PhotoRun
    from training.finetuning.setup import Progress
    from training.finetuning.trainer import PhotoStep
    from training.finetuning.validation import Figures

_LOG_EVERY = 20
_NEEDED = ("torch", "open_clip", "datasets", "matplotlib")


def finetune(config: Path, base: str, data: str, out: Path) -> None:
    """Train as a configuration file says, on photos or on the bundled drawings.

    Raises:
        PetsearchError: see `finetune_on_photos`.
    """
    _check_installed()
    from training.drawings.config import TrainingConfig as DrawingsConfig
    from training.finetuning.config import read_any_config

    settings = read_any_config(config)
    if isinstance(settings, DrawingsConfig):
        if base or data:
            raise ConfigurationError(
                f"{config.name} trains on drawings, from nothing: it takes no --base and no --data."
            )
        _train_on_drawings(config, out)
    else:
        _train_on_photos(settings, config, base, data, out)


def _check_installed() -> None:
    missing = [name for name in _NEEDED if find_spec(name) is None]
    if missing:
        raise ConfigurationError(
            f"Training needs {', '.join(missing)}: pip install 'petsearch[training]'."
        )


def _train_on_drawings(config: Path, out: Path) -> None:
    from training.drawings.finetune import main

    main(config, out)


def _train_on_photos(
    settings: "PhotoTrainingConfig", config: Path, base: str, data: str, out: Path
) -> None:
    from training.finetuning.finetune import finetune_on_photos, override
    from training.runs.commits import current_commit

    settings = override(settings, base, data)
    out.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(config, out / "config.toml")
    commit = current_commit(Path(__file__).parent)
    with _shown() as progress:
        result = finetune_on_photos(settings, out, commit, progress)
    _report(result, out)


@contextmanager
def _shown() -> Iterator["Progress"]:
    from training.finetuning.setup import Progress

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Bar(*columns, TimeRemainingColumn(), console=messages) as bar:
        task = bar.add_task("starting", total=None)

        def begin(what: str, total: int, done: int) -> None:
            bar.reset(task, description=what, total=total, completed=done)
            if not messages.is_terminal:
                say(f"{what}: {total}")

        def step(made: "PhotoStep") -> None:
            bar.update(task, advance=1, description=f"epoch {made.epoch + 1}, loss {made.loss:.3f}")
            # A log file shows no bar until the end.
            if not messages.is_terminal and made.number % _LOG_EVERY == 0:
                say(f"step {made.number}, loss {made.loss:.3f}")

        def epoch(number: int, figures: "Figures") -> None:
            say(
                f"epoch {number + 1}: validation loss {figures.loss:.3f}, "
                f"top-1 {figures.top1:.3f}, P@5 {figures.precision_at_5:.3f}"
            )

        yield Progress(begin, lambda count: bar.update(task, advance=count), step, epoch)


def _report(result: "PhotoRun", out: Path) -> None:
    rows = [
        (name, f"{getattr(result.before, field):.3f}", f"{getattr(result.after, field):.3f}")
        for name, field in (
            ("loss", "loss"),
            ("top-1", "top1"),
            ("text-to-image P@5", "precision_at_5"),
            ("text-to-image mAP", "mean_average_precision"),
        )
    ]
    headers = (f"{len(result.setup.split.validation)} validation photos", "base", "fine-tuned")
    print_table(headers, tuple(rows), empty="")
    for photo in result.setup.photos.broken:
        say(f"Left out: {photo.name}. {photo.reason}")
    if result.setup.photos.photos.skipped:
        say(f"Left out: {len(result.setup.photos.photos.skipped)} photos without a label.")
    say(f"WiSE-FT share of fine-tuned weights: {result.interpolated.share}.")
    say(f"Peak memory: {result.memory}.")
    output.print(f"Written to {out}.", highlight=False, soft_wrap=True)
