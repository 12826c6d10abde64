"""Model folders: what is published of them, and the checks that they pass before."""

import json
from pathlib import Path

import numpy as np
from pydantic import BaseModel, ValidationError

from petsearch.domain.errors import ConfigurationError
from petsearch.ports import ClipModel

CALIBRATION = "calibration.json"
CARD = "MODEL_CARD.md"
_WEIGHTS = "open_clip_model.safetensors"
_LABELS = "labels.json"
_PUBLISHED = (_WEIGHTS, "open_clip_config.json", _LABELS, CALIBRATION, "metrics.json")
_MAX_HEADER_BYTES = 100_000_000
"""The limit of the safetensors format."""


class _Label(BaseModel):
    breed: str
    species: str


class _LabelsFile(BaseModel):
    labels: tuple[_Label, ...] = ()
    prompt_templates: tuple[str, ...] = ("{}",)
    label_templates: tuple[str, ...] = ("{}",)


def published_files(folder: Path) -> dict[str, Path]:
    """The files of a model folder that are published, by name."""
    return {name: folder / name for name in _PUBLISHED if (folder / name).is_file()}


def check_files(folder: Path) -> None:
    """Check that the weights are complete and labels.json is valid.

    Raises:
        ConfigurationError: they are not.
    """
    _check_weights(folder / _WEIGHTS)
    labels = folder / _LABELS
    if labels.is_file():
        try:
            _LabelsFile.model_validate_json(labels.read_bytes())
        except ValidationError as error:
            raise ConfigurationError(f"{labels} is invalid: {error.errors()[0]['msg']}.") from error


def check_embeddings(model: ClipModel) -> None:
    """Check that a model embeds an image and a text into unit vectors of its dimension.

    Raises:
        ConfigurationError: it does not.
    """
    spec = model.info.pixel_spec
    grey = np.full((1, 3, spec.height, spec.width), 127, np.uint8)
    for row in (model.encode_pixels(grey), model.encode_tokens(model.tokenise(["a pet"]))):
        if row.shape != (1, model.info.dim) or not np.isclose(np.linalg.norm(row), 1, atol=1e-2):
            raise ConfigurationError("The model does not work: its embeddings are no unit vectors.")


def _check_weights(weights: Path) -> None:
    """The file has to be as long as its header states."""
    size = weights.stat().st_size
    with weights.open("rb") as file:
        header_bytes = int.from_bytes(file.read(8), "little")
        try:
            header = json.loads(file.read(min(header_bytes, _MAX_HEADER_BYTES)))
            ends = [entry["data_offsets"][1] for name, entry in header.items() if name[:2] != "__"]
        except (ValueError, AttributeError, KeyError, TypeError, IndexError) as error:
            raise ConfigurationError(f"{weights} is not a safetensors file.") from error
    if not ends or size != 8 + header_bytes + max(ends):
        raise ConfigurationError(f"{weights} is truncated or damaged; copy it again.")
