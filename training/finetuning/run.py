"""One fine-tune on photos: trains, goes on after a stop, and chooses on validation."""

import hashlib
import json
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path

import torch

from training.clip.base_model import BaseModel, load_base
from training.clip.weights import copy_of, load_weights, trained_weights
from training.evaluation.photos import LabelledPhotos
from training.finetuning.config import PhotoTrainingConfig
from training.finetuning.interpolation import Interpolated, choose_interpolation
from training.finetuning.setup import PhotoSetup, Progress, open_setup
from training.finetuning.trainer import PhotoTrainer
from training.finetuning.validation import Figures, Validation
from training.runs.checkpoints import read_checkpoint, write_checkpoint
from training.runs.curves import write_curves
from training.runs.log import write_log
from training.runs.memory_estimate import estimated_gpu_bytes
from training.runs.precision import PeakMemory, Precision, peak_memory

WORK = "work"
"""The folder inside a result that an unfinished run keeps its checkpoint and caches in."""


@dataclass(frozen=True)
class PhotoRun:
    """What a run came to."""

    setup: PhotoSetup
    before: Figures
    """The base model in validation."""
    after: Figures
    """The result in validation."""
    interpolated: Interpolated
    memory: PeakMemory


def run(
    config: PhotoTrainingConfig,
    photos: LabelledPhotos,
    out: Path,
    precision: Precision,
    progress: Progress,
) -> PhotoRun:
    """Train; the base's module holds the result. Goes on where a run into `out` was stopped.

    Raises:
        InvalidInput, ConfigurationError, Conflict, StorageFull: see what it is made of.
    """
    torch.manual_seed(config.optimisation.seed)
    base = load_base(config.base, config.policy.image_size)
    work = out / WORK
    fingerprint = _fingerprint(config, base, photos)
    checkpoint = read_checkpoint(work, fingerprint)
    _claim(work, fingerprint)
    setup = open_setup(config, base, photos, work, precision, progress)
    trainer, validation = setup.trainer, setup.validation
    before = validation.figures()
    original = copy_of(trained_weights(base.module))
    if checkpoint is not None:
        trainer.restore(checkpoint)
    _train(trainer, validation, config, out, fingerprint, progress)
    interpolated = choose_interpolation(
        base.module, original, trainer.best, config.interpolation, validation.figures
    )
    after = dict(interpolated.tried)[interpolated.share]
    estimate = estimated_gpu_bytes(base.module, trainer.kept, config.optimisation.batch_size)
    memory = peak_memory(precision, gpu_estimate=estimate)
    return PhotoRun(setup, before, after, interpolated, memory)


def remove_work(out: Path) -> None:
    """Delete what only an unfinished run needs."""
    shutil.rmtree(out / WORK)


def _claim(work: Path, fingerprint: str) -> None:
    """Drop decoded photos and caches of a run that was another one and left no checkpoint."""
    mark = work / "run.txt"
    if mark.exists() and mark.read_text() == fingerprint:
        return
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    mark.write_text(fingerprint)


def _fingerprint(config: PhotoTrainingConfig, base: BaseModel, photos: LabelledPhotos) -> str:
    digest = hashlib.sha256(json.dumps(asdict(config), sort_keys=True).encode())
    digest.update(base.source.model_id().encode())
    digest.update("/".join(photos.class_names).encode())
    digest.update(photos.labels.tobytes())
    return digest.hexdigest()


def _train(
    trainer: PhotoTrainer,
    validation: Validation,
    config: PhotoTrainingConfig,
    out: Path,
    fingerprint: str,
    progress: Progress,
) -> None:
    def save() -> None:
        write_checkpoint(out / WORK, trainer.checkpoint(), fingerprint)
        write_log(out, trainer.step_log, trainer.epoch_log)

    progress.begin("training", trainer.total_steps, trainer.step)
    while not trainer.is_done:
        for step in trainer.steps_of_epoch():
            progress.step(step)
            # The last step of an epoch is kept together with what validation finds.
            is_last = trainer.step % trainer.steps_per_epoch == 0
            if trainer.step % config.optimisation.checkpoint_steps == 0 and not is_last:
                save()
        figures = _validate_average(trainer, validation)
        trainer.note_epoch(figures)
        progress.epoch(len(trainer.epoch_log) - 1, figures)
        save()
        write_curves(out / "curves.png", trainer.step_log, trainer.epoch_log)


def _validate_average(trainer: PhotoTrainer, validation: Validation) -> Figures:
    weights = copy_of(trained_weights(trainer.module))
    load_weights(trainer.module, trainer.average)
    figures = validation.figures()
    load_weights(trainer.module, weights)
    return figures
