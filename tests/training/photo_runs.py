"""Fine-tunes of seconds that tests make: the bundled model on drawings."""

import os
import signal
import sys
from dataclasses import replace
from pathlib import Path
from typing import Literal

import torch

from training.finetuning.config import AugmentationConfig, PhotoTrainingConfig, read_any_config
from training.finetuning.finetune import finetune_on_photos
from training.finetuning.run import PhotoRun
from training.finetuning.setup import Progress
from training.finetuning.trainer import PhotoStep
from training.runs.checkpoints import Checkpoint

CONFIGS = Path(__file__).parents[2] / "training" / "configs"


def photo_config(name: str = "smoke.toml") -> PhotoTrainingConfig:
    """A configuration of a fine-tune on photos."""
    config = read_any_config(CONFIGS / name)
    assert isinstance(config, PhotoTrainingConfig)
    return config


Cache = Literal["none", "fp16", "fp32"]


def with_cache(config: PhotoTrainingConfig, cache: Cache) -> PhotoTrainingConfig:
    """The same run with another cache of the frozen stages."""
    augmentation: AugmentationConfig = replace(config.augmentation, cache=cache)
    return replace(config, augmentation=augmentation)


def finetune(config: PhotoTrainingConfig, out: Path, steps: list[PhotoStep]) -> PhotoRun:
    """Train and collect the steps."""
    return finetune_on_photos(config, out, "abc123", _progress(steps.append), lambda: 0.0)


def checkpoint_of(weight: torch.Tensor) -> Checkpoint:
    """A checkpoint that holds one weight."""
    weights = {"weight": weight}
    return Checkpoint(1, weights, weights, {}, {}, weights)


def _progress(step: object) -> Progress:
    return Progress(
        begin=lambda *_: None,
        advance=lambda _: None,
        step=step,  # type: ignore[arg-type]
        epoch=lambda *_: None,
    )


def main() -> None:
    """Train into a folder and die by SIGKILL after a step, both from the command line."""
    out, last = Path(sys.argv[1]), int(sys.argv[2])

    def die(step: PhotoStep) -> None:
        if step.number == last:
            os.kill(os.getpid(), signal.SIGKILL)

    finetune_on_photos(photo_config(), out, "abc123", _progress(die), lambda: 0.0)


if __name__ == "__main__":
    main()
