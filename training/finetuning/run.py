"""A fine-tune from start to finish: trains, resumes after a stop, and writes the model folder."""

import fcntl
import hashlib
import json
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, replace
from pathlib import Path

import torch

from petsearch.atomic_file import disk_errors
from petsearch.domain.errors import ConfigurationError, Conflict
from petsearch.models.folder import LabelsFile
from petsearch.observability import get_logger
from training.clip.base_model import BaseModel, load_base
from training.clip.weights import copy_of, load_weights, trained_weights
from training.drawings.drawn_photos import DRAWINGS, drawn_photos
from training.evaluation.photos import LabelledPhotos, load_split
from training.finetuning.config import FinetuningConfig, PhotosConfig
from training.finetuning.interpolation import choose_interpolation
from training.finetuning.model_card import model_card
from training.finetuning.result import FinetuningResult, Provenance, labels_of, record_of
from training.finetuning.setup import Progress, Setup, prepare
from training.finetuning.trainer import Trainer
from training.finetuning.validation import Validation, ValidationFigures
from training.runs.checkpoints import read_checkpoint, write_checkpoint
from training.runs.curves import write_curves
from training.runs.log import write_log
from training.runs.memory_estimate import estimated_gpu_bytes
from training.runs.model_folder import write_record, write_weights
from training.runs.precision import Precision, choose_precision, peak_memory

log = get_logger(__name__)

WORK = "work"
"""The folder in the output of an unfinished run that holds its checkpoint and caches."""
_MARK = "run.txt"
"""The file in it that says which run it belongs to, and is locked by the process that runs it."""


def override(config: FinetuningConfig, base: str, data: str) -> FinetuningConfig:
    """The configuration with another base model or other photos; an empty value keeps its own.

    Raises:
        ConfigurationError: there is no base model.
    """
    photos = replace(config.photos, data=data) if data else config.photos
    config = replace(config, base=base or config.base, photos=photos)
    if not config.base:
        raise ConfigurationError(
            "The configuration names no base model: give --base hub:<arch>/<tag> or dir:<folder>."
        )
    return config


def finetune(
    config: FinetuningConfig,
    out: Path,
    commit: str | None,
    progress: Progress,
    clock: Callable[[], float] = time.monotonic,
) -> FinetuningResult:
    """Train and write the model folder `out`; resumes a run that was stopped there.

    Args:
        config: the run.
        out: a folder; created if it does not exist.
        commit: the code's commit, for the record.
        progress: called as the run proceeds.
        clock: seconds, monotonic.

    Raises:
        ConfigurationError: the base model does not load or cannot be trained so, the hub is not
            reachable, or training diverged.
        Conflict: `out` holds an unfinished run with another configuration, another process
            trains into it, or its folder `work` holds something else.
        InvalidInput: the photos cannot be used.
        StorageFull: no space left; the last checkpoint is kept.
    """
    started = clock()
    precision = choose_precision(config.optimisation.precision)
    photos = _photos(config.photos)
    with _alone_in(out / WORK):
        result = _run(config, photos, out, precision, progress)
        base = result.setup.base
        provenance = Provenance(
            base=base.source.model_id(),
            commit=commit,
            seed=config.optimisation.seed,
            training_s=round(clock() - started, 1),
            device=str(precision.device),
        )
        labels = LabelsFile(
            labels=labels_of(result.setup.photos.photos.class_names, base),
            prompt_templates=base.prompt_templates,
            label_templates=config.templates,
        )
        write_weights(out, base.module, base.config, labels)
        write_record(out, record_of(result, config, provenance), model_card(result, config, commit))
        _empty(out / WORK)
        (out / WORK / _MARK).unlink()
        with suppress(OSError):  # NFS keeps a file that is open
            (out / WORK).rmdir()
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


def _run(
    config: FinetuningConfig,
    photos: LabelledPhotos,
    out: Path,
    precision: Precision,
    progress: Progress,
) -> FinetuningResult:
    torch.manual_seed(config.optimisation.seed)
    base = load_base(config.base, config.policy.image_size)
    fingerprint = _fingerprint(config, base, photos)
    checkpoint = read_checkpoint(out / WORK, fingerprint)
    _claim(out / WORK, fingerprint)
    setup = prepare(config, base, photos, out / WORK, precision, progress)
    trainer, validation = setup.trainer, setup.validation
    before = validation.figures()
    original = copy_of(trained_weights(base.module))
    if checkpoint is not None:
        trainer.restore(checkpoint)
    _train(setup, config, out, fingerprint, progress)
    interpolation = choose_interpolation(
        base.module, original, trainer.best, config.interpolation, validation.figures
    )
    after = dict(interpolation.tried)[interpolation.share]
    estimate = estimated_gpu_bytes(base.module, trainer.saved, config.optimisation.batch_size)
    memory = peak_memory(precision, gpu_estimate=estimate)
    return FinetuningResult(setup, before, after, interpolation, memory)


def _fingerprint(config: FinetuningConfig, base: BaseModel, photos: LabelledPhotos) -> str:
    digest = hashlib.sha256(json.dumps(asdict(config), sort_keys=True).encode())
    digest.update(base.source.model_id().encode())
    digest.update("/".join(photos.class_names).encode())
    digest.update(photos.labels.tobytes())
    return digest.hexdigest()


@contextmanager
def _alone_in(work: Path) -> Iterator[None]:
    """Keep other processes, and other people's files, out of the folder of a run.

    Raises:
        Conflict: another process has it, or it is no run's: a run empties its folder.
    """
    path = work / _MARK
    is_taken = any(work.iterdir()) if work.is_dir() else work.exists()
    if is_taken and not path.exists():
        raise Conflict(
            f"{work} is of something else, and a run empties the folder of that name: choose "
            "another --out."
        )
    with disk_errors():
        work.mkdir(parents=True, exist_ok=True)
        mark = path.open("a")
    with mark:
        try:
            fcntl.flock(mark, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise Conflict(
                f"Another process trains into {work.parent}. Wait for it, or choose another --out."
            ) from error
        except OSError as error:  # as on some network file systems
            log.warning("the folder of the run cannot be locked", reason=str(error))
        yield


def _claim(work: Path, fingerprint: str) -> None:
    """Delete decoded photos and caches of a different run that left no checkpoint."""
    mark = work / _MARK
    if mark.read_text() != fingerprint:
        _empty(work)
        mark.write_text(fingerprint)


def _empty(work: Path) -> None:
    """Delete all but the mark: killed in between, the folder is still a run's."""
    for path in work.iterdir():
        if path.name == _MARK:
            continue
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()


def _train(
    setup: Setup, config: FinetuningConfig, out: Path, fingerprint: str, progress: Progress
) -> None:
    trainer = setup.trainer

    def save() -> None:
        write_checkpoint(out / WORK, trainer.checkpoint(), fingerprint)
        write_log(out, trainer.step_log, trainer.epoch_log)

    progress.begin("training", trainer.total_steps, trainer.step)
    while not trainer.is_done:
        for step in trainer.steps_of_epoch():
            progress.step(step)
            # The last step of an epoch is saved together with its validation.
            is_last = trainer.step % trainer.steps_per_epoch == 0
            if trainer.step % config.optimisation.checkpoint_steps == 0 and not is_last:
                save()
        figures = _validate_average(trainer, setup.validation)
        trainer.note_epoch(figures)
        progress.epoch(len(trainer.epoch_log) - 1, figures)
        save()
        write_curves(out / "curves.png", trainer.step_log, trainer.epoch_log)


def _validate_average(trainer: Trainer, validation: Validation) -> ValidationFigures:
    current = trained_weights(trainer.module)
    kept = copy_of(current)
    load_weights(current, trainer.average)
    figures = validation.figures()
    load_weights(current, kept)
    return figures
