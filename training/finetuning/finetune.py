"""Fine-tunes on photos from a configuration file: what `petsearch finetune` runs."""

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from petsearch.domain.errors import ConfigurationError
from training.drawings.drawn_photos import DRAWINGS, drawn_photos
from training.evaluation.photos import LabelledPhotos, load_split
from training.finetuning.config import PhotosConfig, PhotoTrainingConfig
from training.finetuning.model_folder import PhotoProvenance, write_photo_model
from training.finetuning.run import PhotoRun, remove_work, run
from training.finetuning.setup import Progress
from training.runs.precision import choose_precision


def override(config: PhotoTrainingConfig, base: str, data: str) -> PhotoTrainingConfig:
    """The configuration with another base model or other photos; empty keeps its own.

    Raises:
        ConfigurationError: neither names a base model.
    """
    photos = replace(config.photos, data=data) if data else config.photos
    config = replace(config, base=base or config.base, photos=photos)
    if not config.base:
        raise ConfigurationError(
            "The configuration names no base model: give --base hub:<arch>/<tag> or dir:<folder>."
        )
    return config


def finetune_on_photos(
    config: PhotoTrainingConfig,
    out: Path,
    commit: str | None,
    progress: Progress,
    clock: Callable[[], float] = time.monotonic,
) -> PhotoRun:
    """Train and write the model folder `out`; go on where an earlier call was stopped.

    Args:
        config: the run.
        out: a folder, made if needed.
        commit: the code's commit, for the record.
        progress: told how it goes.
        clock: seconds, monotonic.

    Raises:
        ConfigurationError: a value, the base model or the hub does not do, or training diverged.
        Conflict: `out` holds an unfinished run of another configuration.
        InvalidInput: the photos do not do.
        StorageFull: no space left; the last checkpoint is kept.
    """
    started = clock()
    precision = choose_precision(config.optimisation.precision)
    result = run(config, _photos(config.photos), out, precision, progress)
    provenance = PhotoProvenance(
        base=result.setup.base.source.model_id(),
        commit=commit,
        seed=config.optimisation.seed,
        training_s=round(clock() - started, 1),
        device=str(precision.device),
    )
    write_photo_model(out, result, config, provenance)
    remove_work(out)
    return result


def _photos(config: PhotosConfig) -> LabelledPhotos:
    if config.data == DRAWINGS:
        return drawn_photos()
    return load_split(
        config.data,
        config.split,
        image_column=config.image_column or None,
        label_column=config.label_column,
    )
