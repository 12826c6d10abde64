"""Model folders: the names of their files, labels.json, and checks before they are published."""

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from pydantic import BaseModel, ValidationError

from petsearch.domain import Label
from petsearch.domain.errors import ConfigurationError
from petsearch.domain.prompts import DEFAULT_TEMPLATES, SPECIES_TEMPLATES
from petsearch.ports import ClipModel

WEIGHTS = "open_clip_model.safetensors"
CONFIG = "open_clip_config.json"
LABELS = "labels.json"
CALIBRATION = "calibration.json"
METRICS = "metrics.json"
CARD = "MODEL_CARD.md"
MOST_JSON_BYTES = 4 * 1024 * 1024
"""Of each file beside the weights: servers read them whole."""


class LabelsFile(BaseModel):
    """The content of labels.json."""

    labels: tuple[Label, ...] = ()
    prompt_templates: tuple[str, ...] = DEFAULT_TEMPLATES
    label_templates: tuple[str, ...] = DEFAULT_TEMPLATES
    species_templates: tuple[str, ...] = SPECIES_TEMPLATES


def read_labels(data: bytes) -> LabelsFile:
    """The content of a labels.json.

    Raises:
        ConfigurationError: it is invalid.
    """
    try:
        return LabelsFile.model_validate_json(data)
    except ValidationError as error:
        raise ConfigurationError(f"{LABELS} is invalid: {error.errors()[0]['msg']}.") from error


def published_files(folder: Path) -> dict[str, Path]:
    """The files of a model folder that are published, by name."""
    names = (WEIGHTS, CONFIG, LABELS, CALIBRATION, METRICS)
    return {name: folder / name for name in names if (folder / name).is_file()}


def check_documents(files: Mapping[str, Path]) -> None:
    """Check the files beside the weights: a folder may come from anyone, and link to other files.

    Raises:
        ConfigurationError: one is too large, or no JSON object.
    """
    for path in (path for name, path in files.items() if name.endswith(".json")):
        with path.open("rb") as file:
            content = file.read(MOST_JSON_BYTES + 1)
        if len(content) > MOST_JSON_BYTES:
            raise ConfigurationError(f"{path} is larger than {MOST_JSON_BYTES // 1024**2} MB.")
        try:
            is_object = isinstance(json.loads(content), dict)
        except (ValueError, RecursionError):
            is_object = False
        if not is_object:
            raise ConfigurationError(f"{path} is not a JSON object.")


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


def check_weights(weights: Path) -> None:
    """Check that a safetensors file is as long as its header states.

    Raises:
        ConfigurationError: it is not.
    """
    from safetensors import SafetensorError, safe_open  # not in every image

    try:
        safe_open(weights, framework="numpy")
    except SafetensorError as error:
        raise ConfigurationError(
            f"{weights} is truncated or damaged; copy it again ({error})."
        ) from error
