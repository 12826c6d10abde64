"""The speed-up of the cache of the frozen stages: `make bench-finetune`.

ViT-B/32 with random weights, the policy of ancestor.toml (blocks 10 and 11 and the projection), on
drawings. Two trainers with the same weights and stored views, one with the cache and one without,
alternately run an epoch each; the ratio of each pair is robust against other load.
"""

import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import numpy as np
import typer
from rich.console import Console
from rich.table import Table

from bench.random_model import random_vit
from petsearch.process_tuning import tune_process

if TYPE_CHECKING:
    from training.finetuning.config import FinetuningConfig
    from training.finetuning.trainer import Trainer

_CONFIG = Path("training/configs/ancestor.toml")
_BLOCKS = 12
_TRAINED_BLOCKS = 2
_BACKWARD = 2
"""A backward pass costs two forward ones."""


@dataclass(frozen=True)
class Epoch:
    """One epoch of one trainer."""

    wall_s: float
    cpu_s: float
    losses: list[float]


def main(
    *,
    epochs: Annotated[int, typer.Option(min=1)] = 4,
    views: Annotated[int, typer.Option(min=1)] = 2,
    batch_size: Annotated[int, typer.Option(min=2)] = 16,
) -> None:
    """Print seconds per epoch with and without the cache, and the difference of the losses."""
    tune_process()
    from training.finetuning.config import FinetuningConfig, read_any_config

    config = read_any_config(_CONFIG)
    assert isinstance(config, FinetuningConfig)
    optimisation = replace(
        config.optimisation, epochs=epochs, batch_size=batch_size, precision="fp32"
    )
    augmentation = replace(config.augmentation, views=views)
    config = replace(config, optimisation=optimisation, augmentation=augmentation)
    with tempfile.TemporaryDirectory() as folder:
        config = replace(config, base=random_vit(Path(folder)))
        pairs = _run(config, Path(folder), epochs)
    _print(pairs)


def _run(config: "FinetuningConfig", folder: Path, epochs: int) -> list[tuple[Epoch, Epoch]]:
    without = replace(config, augmentation=replace(config.augmentation, cache="none"))
    plain = _trainer(without, folder / "plain")
    started = time.perf_counter()
    cached = _trainer(config, folder / "cached")
    Console().print(f"Filling the cache took {time.perf_counter() - started:.1f} s, once.")
    pairs = []
    for number in range(epochs):
        # Turn about, so that other work on the machine hits both alike.
        if number % 2:
            second, first = _epoch(cached), _epoch(plain)
        else:
            first, second = _epoch(plain), _epoch(cached)
        pairs.append((first, second))
    return pairs


def _trainer(config: "FinetuningConfig", work: Path) -> "Trainer":
    from training.clip.base_model import load_base
    from training.drawings.drawn_photos import drawn_photos
    from training.finetuning.setup import Progress, prepare
    from training.runs.precision import choose_precision

    silent = Progress(lambda *_: None, lambda _: None, lambda _: None, lambda *_: None)
    precision = choose_precision(config.optimisation.precision, "cpu")
    base = load_base(config.base)
    return prepare(config, base, drawn_photos(), work, precision, silent).trainer


def _epoch(trainer: "Trainer") -> Epoch:
    wall, cpu = time.perf_counter(), time.process_time()
    losses = [step.loss for step in trainer.steps_of_epoch()]
    return Epoch(time.perf_counter() - wall, time.process_time() - cpu, losses)


def _print(pairs: list[tuple[Epoch, Epoch]]) -> None:
    trained = _TRAINED_BLOCKS * (1 + _BACKWARD)
    limit = (_BLOCKS + _TRAINED_BLOCKS * _BACKWARD) / trained
    table = Table("epoch", "plain s", "cached s", "ratio", "ratio of CPU time", "loss apart")
    for number, (plain, cached) in enumerate(pairs, start=1):
        table.add_row(
            str(number),
            f"{plain.wall_s:.1f}",
            f"{cached.wall_s:.1f}",
            f"{plain.wall_s / cached.wall_s:.2f}",
            f"{plain.cpu_s / cached.cpu_s:.2f}",
            f"{np.abs(np.subtract(plain.losses, cached.losses)).max():.1e}",
        )
    console = Console()
    console.print(table)
    wall = np.median([plain.wall_s / cached.wall_s for plain, cached in pairs])
    cpu = np.median([plain.cpu_s / cached.cpu_s for plain, cached in pairs])
    console.print(
        f"Median ratio {wall:.2f} (CPU time {cpu:.2f}; wanted 2.2). By arithmetic {limit:.2f}: "
        f"{_BLOCKS} blocks forward and {_TRAINED_BLOCKS} backward, against {_TRAINED_BLOCKS} both "
        "ways; drawing the views, which the cache saves too, is not in it."
    )


if __name__ == "__main__":
    typer.run(main)
