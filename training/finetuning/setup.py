"""Opens what a fine-tune on photos needs: model, photos in two parts, trainer, validation."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import torch

from petsearch.domain import Pixels
from petsearch.domain.prompts import species_of
from training.clip.base_model import BaseModel
from training.clip.class_texts import ClassTexts, TextEncoder
from training.evaluation.photos import LabelledPhotos
from training.finetuning.augmentation import Views
from training.finetuning.config import PhotoTrainingConfig
from training.finetuning.decoded_photos import DecodedPhotos, decode_photos
from training.finetuning.off_topic_texts import OffTopicTexts
from training.finetuning.policies import apply_policy
from training.finetuning.split import Split, split_photos
from training.finetuning.trainer import PhotoStep, PhotoTrainer, Sides, Species
from training.finetuning.validation import Figures, Validation
from training.finetuning.view_features import (
    DrawnViews,
    FrozenPart,
    ViewFeatures,
    cached,
    plain_features,
)
from training.runs.precision import Precision


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
class PhotoSetup:
    """What a run works with."""

    base: BaseModel
    photos: DecodedPhotos
    split: Split
    trainer: PhotoTrainer
    validation: Validation


def open_setup(
    config: PhotoTrainingConfig,
    base: BaseModel,
    photos: LabelledPhotos,
    work: Path,
    precision: Precision,
    progress: Progress,
) -> PhotoSetup:
    """Decode the photos, freeze what stays, and compute what the frozen part gives.

    Args:
        config: the run.
        base: its module goes to the device and is trained in place.
        photos: with labels.
        work: a folder for what is computed once; what lies there already is used.
        precision: and the device.
        progress: told how it goes.

    Raises:
        InvalidInput, ConfigurationError, StorageFull: see what it is made of.
    """
    policy = apply_policy(base.module, config.policy)
    base.module.to(precision.device)
    base.module.to(memory_format=torch.channels_last)
    progress.begin("decoding photos", len(photos), 0)
    decoded = decode_photos(photos, config.photos.decoded_side, work, lambda: progress.advance(1))
    seed = config.optimisation.seed
    split = split_photos(decoded.photos.labels, config.photos.validation_share, seed)
    encoder = TextEncoder(base.module, base.tokenise, precision.device)
    classes = ClassTexts(encoder, photos.class_names, config.templates)
    frozen = FrozenPart(base, policy, precision)
    features = _validation_features(decoded, split, base, frozen, progress)
    labels = torch.from_numpy(decoded.photos.labels[split.validation])
    views = Views(config.augmentation, base.pixel_spec, seed)
    drawn = DrawnViews(decoded, split.train, views, frozen)
    sides = Sides(
        features=_view_features(config, drawn, work, precision, progress),
        labels=decoded.photos.labels[split.train],
        views=config.augmentation.views,
        classes=classes,
        encoder=encoder,
        off_topic=_off_topic(config, photos),
        species=_species(config, photos, base, encoder),
    )
    return PhotoSetup(
        base=base,
        photos=decoded,
        split=split,
        trainer=PhotoTrainer(
            base.module, policy, sides, config.loss, config.optimisation, precision
        ),
        validation=Validation(policy, features, labels, classes, precision),
    )


def _species(
    config: PhotoTrainingConfig, photos: LabelledPhotos, base: BaseModel, encoder: TextEncoder
) -> Species | None:
    found = [base.species.get(name) or species_of(name) for name in photos.class_names]
    known = [species for species in found if species]
    names = sorted(set(known))
    if len(known) < len(found) or len(names) < 2:
        return None
    of_classes = torch.tensor([names.index(species) for species in known])
    return Species(ClassTexts(encoder, names, config.templates), of_classes)


def _validation_features(
    decoded: DecodedPhotos, split: Split, base: BaseModel, frozen: FrozenPart, progress: Progress
) -> torch.Tensor:
    progress.begin("reading validation photos", len(split.validation), 0)

    def pixels() -> Iterator[Pixels]:
        for number in split.validation:
            yield decoded.photos.pixels(int(number), base.pixel_spec)
            progress.advance(1)

    return plain_features(pixels(), frozen)


def _view_features(
    config: PhotoTrainingConfig,
    drawn: DrawnViews,
    work: Path,
    precision: Precision,
    progress: Progress,
) -> ViewFeatures:
    augmentation = config.augmentation
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
