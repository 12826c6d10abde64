"""Writes what a fine-tune on photos gives: an open_clip folder, its record and its model card."""

import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from safetensors.torch import save

from petsearch.atomic_file import write_atomically
from petsearch.domain import Label
from petsearch.domain.prompts import species_of
from training.clip.base_model import BaseModel
from training.drawings.model_folder import WEIGHTS
from training.finetuning.config import PhotoTrainingConfig
from training.finetuning.model_card import photo_model_card
from training.finetuning.run import PhotoRun

UNKNOWN_SPECIES = "pet"
"""Of breeds that neither the base model nor Oxford-IIIT Pet knows."""


@dataclass(frozen=True)
class PhotoProvenance:
    """Where a result comes from."""

    base: str
    """`model_id` of the base model."""
    commit: str | None
    """None outside a git checkout or before its first commit."""
    seed: int
    training_s: float
    """Of the process that ended the run; a resumed one counts from its resume."""
    device: str


def write_photo_model(
    out: Path, run: PhotoRun, config: PhotoTrainingConfig, provenance: PhotoProvenance
) -> None:
    """Write weights (fp16), configuration, labels.json, metrics.json and MODEL_CARD.md into `out`.

    Raises:
        StorageFull: no space left.
    """
    labels = labels_of(run.setup.photos.photos.class_names, run.setup.base)
    write_atomically(out / WEIGHTS, _weights(run.setup.base))
    _write_json(out / "open_clip_config.json", run.setup.base.config)
    words = {
        "prompt_templates": list(run.setup.base.prompt_templates),
        "label_templates": list(config.templates),
        "labels": [asdict(label) for label in labels],
    }
    _write_json(out / "labels.json", words)
    record = photo_record(run, config, provenance)
    _write_json(out / "metrics.json", record)
    card = photo_model_card(run, config, provenance.commit)
    write_atomically(out / "MODEL_CARD.md", card.encode())


def labels_of(class_names: tuple[str, ...], base: BaseModel) -> list[Label]:
    """Breeds with their species: the base model's word, else Oxford's, else `pet`."""
    return [
        Label(name, base.species.get(name) or species_of(name) or UNKNOWN_SPECIES)
        for name in class_names
    ]


def photo_record(
    run: PhotoRun, config: PhotoTrainingConfig, provenance: PhotoProvenance
) -> dict[str, Any]:
    """What metrics.json holds. Paths of this machine are left out: it is published."""
    protocol = (
        f"{len(run.setup.split.validation)} validation photos held out of the training split "
        f"(share {config.photos.validation_share} of each class, seed {provenance.seed}); the "
        "epoch and the interpolation were chosen on them, so a test split scores a little less; "
        "class prompts: the ensemble of label_templates in labels.json"
    )
    public = replace(
        config,
        base=_public(config.base),
        photos=replace(config.photos, data=Path(config.photos.data).name),
    )
    return {
        "protocol": protocol,
        "figures": asdict(run.after),
        "base_figures": asdict(run.before),
        "interpolation": {
            "chosen": run.interpolated.share,
            "tried": [{"share": s, **asdict(figures)} for s, figures in run.interpolated.tried],
        },
        "photos": {
            "trained_on": len(run.setup.split.train),
            "validated_on": len(run.setup.split.validation),
            "without_label": len(run.setup.photos.photos.skipped),
            "not_decoded": [asdict(photo) for photo in run.setup.photos.broken],
        },
        "peak_memory_bytes": asdict(run.memory),
        "provenance": asdict(provenance),
        "config": asdict(public),
    }


def _public(base: str) -> str:
    kind, _, rest = base.partition(":")
    return f"dir:{Path(rest).name}" if kind == "dir" else base


def _weights(base: BaseModel) -> bytes:
    return save(
        {
            name: (tensor.half() if tensor.is_floating_point() else tensor)
            .detach()
            .cpu()
            .contiguous()
            for name, tensor in base.module.state_dict().items()
        }
    )


def _write_json(path: Path, content: Any) -> None:
    write_atomically(path, (json.dumps(content, indent=1) + "\n").encode())
