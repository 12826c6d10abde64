"""One fine-tune on photos: opens what it needs, trains, and chooses on validation."""

import hashlib
import json
import shutil
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from training.augmenting import Views
from training.base_model import BaseModel, load_base
from training.checkpoints import read_checkpoint, write_checkpoint
from training.class_texts import ClassTexts, TextEncoder
from training.curves import write_curves
from training.decoded_photos import DecodedPhotos, decode_photos
from training.interpolation import Interpolated, choose_interpolation
from training.memory_estimate import estimated_gpu_bytes
from training.off_topic_texts import OffTopicTexts
from training.photo_config import PhotoTrainingConfig
from training.photo_split import Split, split_photos
from training.photo_training import PhotoStep, PhotoTrainer, Sides
from training.photos import LabelledPhotos
from training.policies import Policy, apply_policy
from training.precision import PeakMemory, Precision, peak_memory
from training.run_log import write_log
from training.validation import Figures, Validation
from training.view_features import (
    DrawnViews,
    FrozenPart,
    ViewFeatures,
    cached,
    plain_features,
)
from training.weights import copy_of, load_weights, trained_weights

WORK = "work"


@dataclass(frozen=True)
class Progress:
    """Told how a run goes on; each call is cheap."""

    begin: Callable[[str, int, int], None]
    """What begins, its number of items, and how many of them are done already."""
    advance: Callable[[int], None]
    """So many items of it are done."""
    step: Callable[[PhotoStep], None]
    epoch: Callable[[int, Figures], None]
    """Its number from 0, and what validation found."""


@dataclass(frozen=True)
class PhotoRun:
    """What a run came to."""

    base: BaseModel
    photos: DecodedPhotos
    split: Split
    before: Figures
    """The base model in validation."""
    after: Figures
    """The result in validation."""
    interpolated: Interpolated
    trainer: PhotoTrainer
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
    policy = apply_policy(base.module, config.policy)
    base.module.to(precision.device)
    base.module.to(memory_format=torch.channels_last)
    work = out / WORK
    fingerprint = _fingerprint(config, base, photos)
    checkpoint = read_checkpoint(work, fingerprint)
    _claim(work, fingerprint)
    decoded = _decoded(config, photos, work, progress)
    split = split_photos(
        decoded.photos.labels, config.photos.validation_share, config.optimisation.seed
    )
    encoder = TextEncoder(base.module, base.tokenise, precision.device)
    classes = ClassTexts(encoder, photos.class_names, config.templates)
    frozen = FrozenPart(base, policy, precision)
    validation = _validation(decoded, split, base, policy, classes, frozen, precision, progress)
    before = validation.figures()
    original = copy_of(trained_weights(base.module))
    sides = Sides(
        features=_features(config, decoded, split, base, frozen, precision, work, progress),
        labels=decoded.photos.labels[split.train],
        views=config.augmentation.views,
        classes=classes,
        encoder=encoder,
        off_topic=_off_topic(config, photos),
    )
    trainer = PhotoTrainer(base.module, policy, sides, config.loss, config.optimisation, precision)
    if checkpoint is not None:
        trainer.restore(checkpoint)
    _train(trainer, validation, config, out, fingerprint, progress)
    interpolated = choose_interpolation(
        base.module, original, trainer.best, config.interpolation, validation.figures
    )
    after = dict(interpolated.tried)[interpolated.share]
    estimate = estimated_gpu_bytes(base.module, trainer.kept, config.optimisation.batch_size)
    memory = peak_memory(precision, gpu_estimate=estimate)
    return PhotoRun(base, decoded, split, before, after, interpolated, trainer, memory)


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


def _decoded(
    config: PhotoTrainingConfig, photos: LabelledPhotos, work: Path, progress: Progress
) -> DecodedPhotos:
    progress.begin("decoding photos", len(photos), 0)
    return decode_photos(photos, config.photos.decoded_side, work, lambda: progress.advance(1))


def _validation(
    decoded: DecodedPhotos,
    split: Split,
    base: BaseModel,
    policy: Policy,
    classes: ClassTexts,
    frozen: FrozenPart,
    precision: Precision,
    progress: Progress,
) -> Validation:
    progress.begin("reading validation photos", len(split.validation), 0)

    def pixels() -> Any:
        for number in split.validation:
            yield decoded.photos.pixels(int(number), base.pixel_spec)
            progress.advance(1)

    features = plain_features(pixels(), frozen)
    labels = torch.from_numpy(decoded.photos.labels[split.validation])
    return Validation(policy, features, labels, classes, precision)


def _features(
    config: PhotoTrainingConfig,
    decoded: DecodedPhotos,
    split: Split,
    base: BaseModel,
    frozen: FrozenPart,
    precision: Precision,
    work: Path,
    progress: Progress,
) -> ViewFeatures:
    augmentation = config.augmentation
    views = Views(augmentation, base.pixel_spec, config.optimisation.seed)
    drawn = DrawnViews(decoded, split.train, views, frozen)
    if augmentation.cache == "none":
        return drawn
    progress.begin("computing the frozen stages", len(drawn) * augmentation.views, 0)
    return cached(
        drawn,
        folder=work,
        views=augmentation.views,
        cache=augmentation.cache,
        device=precision.device,
        on_photos=progress.advance,
    )


def _off_topic(config: PhotoTrainingConfig, photos: LabelledPhotos) -> OffTopicTexts | None:
    if not config.loss.background_weight:
        return None
    return OffTopicTexts(
        config.loss, photos.class_names, config.templates, config.optimisation.seed
    )


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
