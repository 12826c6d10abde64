"""Prepares a fine-tune: decoded photos in two splits, the frozen stages, trainer, validation."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import torch

from petsearch.domain import Pixels
from petsearch.domain.errors import ConfigurationError
from petsearch.domain.prompts import species_of
from training.clip.base_model import BaseModel
from training.clip.class_texts import ClassTexts, TextEncoder
from training.evaluation.photos import LabelledPhotos
from training.finetuning.augmentation import ViewSampler
from training.finetuning.config import FinetuningConfig
from training.finetuning.decoded_photos import DecodedPhotos, decode_photos
from training.finetuning.off_topic_texts import OffTopicTexts
from training.finetuning.policies import Policy, apply_policy
from training.finetuning.split import Split, split_photos
from training.finetuning.trainer import Species, Step, Trainer, TrainingData
from training.finetuning.validation import Validation, ValidationFigures
from training.finetuning.view_features import (
    ComputedViews,
    FrozenStages,
    ViewFeatures,
    cached,
    plain_features,
)
from training.runs.precision import Precision


@dataclass(frozen=True)
class Progress:
    """Callbacks that report the progress of a run."""

    begin: Callable[[str, int, int], None]
    """A phase begins: its name, its number of items, and how many are already done."""
    advance: Callable[[int], None]
    """The given number of items is done."""
    step: Callable[[Step], None]
    epoch: Callable[[int, ValidationFigures], None]
    """An epoch, counted from 0, was validated."""


@dataclass(frozen=True)
class Setup:
    """The parts of a run, ready to train."""

    base: BaseModel
    photos: DecodedPhotos
    split: Split
    trainer: Trainer
    validation: Validation


def prepare(
    config: FinetuningConfig,
    base: BaseModel,
    photos: LabelledPhotos,
    work: Path,
    precision: Precision,
    progress: Progress,
) -> Setup:
    """Decode the photos, freeze the lower stages and compute their output.

    Args:
        config: the run.
        base: its module is moved to the device and trained in place.
        photos: with labels.
        work: the folder of decoded photos and caches; those of an earlier call are reused.
        precision: the device, and the precision of forward passes.
        progress: called as preparation proceeds.

    Raises:
        InvalidInput: the photos cannot be decoded or split.
        ConfigurationError: the policy or the size of views does not fit the model.
        StorageFull: no space left.
    """
    policy = apply_policy(base.module, config.policy)
    base.module.to(precision.device).to(memory_format=torch.channels_last)
    frozen = FrozenStages(base, policy, precision)
    _check_view_size(config.augmentation.view_size, frozen, policy)
    progress.begin("decoding photos", len(photos), 0)
    decoded = decode_photos(photos, config.photos.decoded_side, work, lambda: progress.advance(1))
    seed = config.optimisation.seed
    share = config.photos.validation_share
    split = split_photos(decoded.photos.labels, share, seed, photos.class_names)
    encoder = TextEncoder(base.module, base.tokenise, precision.device)
    classes = ClassTexts(encoder, photos.class_names, config.templates)
    features = _validation_features(decoded, split, base, frozen, progress)
    labels = torch.from_numpy(decoded.photos.labels[split.validation])
    views = ViewSampler(config.augmentation, base.pixel_spec, seed)
    computed = ComputedViews(decoded, split.train, views, frozen)
    data = TrainingData(
        features=_view_features(config, computed, work, progress),
        labels=decoded.photos.labels[split.train],
        views=config.augmentation.views,
        classes=classes,
        encoder=encoder,
        off_topic=OffTopicTexts(config.loss, photos.class_names, config.templates, seed)
        if config.loss.background_weight
        else None,
        species=_species(config, photos, base, encoder),
    )
    return Setup(
        base=base,
        photos=decoded,
        split=split,
        trainer=Trainer(base.module, policy, data, config.loss, config.optimisation, precision),
        validation=Validation(policy, features, labels, classes, precision),
    )


@torch.no_grad()
def _check_view_size(side: int, frozen: FrozenStages, policy: Policy) -> None:
    """Before photos are decoded: only a convolutional tower takes views of any size."""
    if not side:
        return
    try:
        policy.run_suffix(frozen.run(torch.zeros((1, 3, side, side), dtype=torch.uint8)))
    except (RuntimeError, AssertionError) as error:
        raise ConfigurationError(
            f"augmentation.view_size is {side}: this image tower takes no views of that size. Use "
            "0, for the model's own."
        ) from error


def _species(
    config: FinetuningConfig, photos: LabelledPhotos, base: BaseModel, encoder: TextEncoder
) -> Species | None:
    found = [base.species.get(name) or species_of(name) for name in photos.class_names]
    known = [species for species in found if species]
    names = sorted(set(known))
    if len(known) < len(found) or len(names) < 2:
        return None
    of_classes = torch.tensor([names.index(species) for species in known])
    return Species(ClassTexts(encoder, names, config.templates), of_classes)


def _validation_features(
    decoded: DecodedPhotos, split: Split, base: BaseModel, frozen: FrozenStages, progress: Progress
) -> torch.Tensor:
    progress.begin("reading validation photos", len(split.validation), 0)

    def pixels() -> Iterator[Pixels]:
        for number in split.validation:
            yield decoded.photos.pixels(int(number), base.pixel_spec)
            progress.advance(1)

    return plain_features(pixels(), frozen)


def _view_features(
    config: FinetuningConfig,
    computed: ComputedViews,
    work: Path,
    progress: Progress,
) -> ViewFeatures:
    augmentation = config.augmentation
    if augmentation.cache == "none":
        return computed
    progress.begin("computing the frozen stages", len(computed) * augmentation.views, 0)
    return cached(
        computed,
        folder=work,
        views=augmentation.views,
        cache=augmentation.cache,
        on_photos=progress.advance,
    )
