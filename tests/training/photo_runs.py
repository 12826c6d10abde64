"""Fine-tunes of seconds that tests make: the bundled model on drawings."""

import os
import signal
import sys
from dataclasses import replace
from pathlib import Path
from typing import Literal

import torch

from training.finetuning.config import AugmentationConfig, FinetuningConfig, read_any_config
from training.finetuning.result import FinetuningResult
from training.finetuning.run import finetune
from training.finetuning.setup import Progress
from training.finetuning.trainer import Step
from training.runs.checkpoints import Checkpoint

CONFIGS = Path(__file__).parents[2] / "training" / "configs"


def photo_config(name: str = "smoke.toml") -> FinetuningConfig:
    """A configuration of a fine-tune on photos."""
    config = read_any_config(CONFIGS / name)
    assert isinstance(config, FinetuningConfig)
    return config


Cache = Literal["none", "fp16", "fp32"]


def with_cache(config: FinetuningConfig, cache: Cache) -> FinetuningConfig:
    """The same run with another cache of the frozen stages."""
    augmentation: AugmentationConfig = replace(config.augmentation, cache=cache)
    return replace(config, augmentation=augmentation)


def run_finetune(config: FinetuningConfig, out: Path, steps: list[Step]) -> FinetuningResult:
    """Train and collect the steps."""
    return finetune(config, out, "abc123", _progress(steps.append), lambda: 0.0)


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

    def die(step: Step) -> None:
        if step.number == last:
            os.kill(os.getpid(), signal.SIGKILL)

    finetune(photo_config(), out, "abc123", _progress(die), lambda: 0.0)


if __name__ == "__main__":
    main()
