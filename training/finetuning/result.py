"""The result of a fine-tune, and the record of it that metrics.json holds."""

from dataclasses import asdict, dataclass, replace
from typing import Any

from petsearch.domain import Label
from petsearch.domain.prompts import species_of
from training.clip.base_model import BaseModel
from training.evaluation.photos import public_name
from training.finetuning.config import FinetuningConfig
from training.finetuning.interpolation import Interpolation
from training.finetuning.setup import Setup
from training.finetuning.validation import ValidationFigures
from training.runs.precision import PeakMemory

UNKNOWN_SPECIES = "pet"
"""Species of breeds that neither the base model nor Oxford-IIIT Pet knows."""


@dataclass(frozen=True)
class Provenance:
    """How a result was made."""

    base: str
    """`model_id` of the base model."""
    commit: str | None
    """None outside a git checkout or before its first commit."""
    seed: int
    training_s: float
    """Of the process that finished the run; a resumed run counts from its resume."""
    device: str


@dataclass(frozen=True)
class FinetuningResult:
    """A finished run; the base model's module holds the trained weights."""

    setup: Setup
    before: ValidationFigures
    """Validation of the base model."""
    after: ValidationFigures
    """Validation of the result."""
    interpolation: Interpolation
    memory: PeakMemory


def labels_of(class_names: tuple[str, ...], base: BaseModel) -> tuple[Label, ...]:
    """Breeds with their species: the base model's, else Oxford-IIIT Pet's, else `pet`."""
    return tuple(
        Label(name, base.species.get(name) or species_of(name) or UNKNOWN_SPECIES)
        for name in class_names
    )


def record_of(
    result: FinetuningResult, config: FinetuningConfig, provenance: Provenance
) -> dict[str, Any]:
    """The content of metrics.json. It is published, so it holds no paths of this machine."""
    split, photos = result.setup.split, result.setup.photos
    protocol = (
        f"{len(split.validation)} validation photos held out of the training split "
        f"(share {config.photos.validation_share} of each class, seed {provenance.seed}); the "
        "epoch and the interpolation were chosen on them, so a test split scores a little less; "
        "class prompts: the ensemble of label_templates in labels.json"
    )
    kind, _, path = config.base.partition(":")
    public = replace(
        config,
        base=f"dir:{public_name(path)}" if kind == "dir" else config.base,
        photos=replace(config.photos, data=public_name(config.photos.data)),
    )
    tried = [{"share": share, **asdict(made)} for share, made in result.interpolation.tried]
    return {
        "protocol": protocol,
        "figures": asdict(result.after),
        "base_figures": asdict(result.before),
        "interpolation": {"chosen": result.interpolation.share, "tried": tried},
        "photos": {
            "trained_on": len(split.train),
            "validated_on": len(split.validation),
            "without_label": len(photos.photos.skipped),
            "not_decoded": [asdict(photo) for photo in photos.broken],
        },
        "peak_memory_bytes": asdict(result.memory),
        "provenance": asdict(provenance),
        "config": asdict(public),
    }
