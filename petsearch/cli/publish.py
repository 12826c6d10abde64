"""Checks a model folder, adds what is missing, and puts it into the registry."""

import json
import tempfile
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from pydantic import BaseModel, ValidationError

from petsearch.adapters.clip import resolve_model
from petsearch.app.connections import open_store
from petsearch.domain.errors import ConfigurationError
from petsearch.models import Published, Registry
from petsearch.models.cards import write_card
from petsearch.ports import ClipModel
from petsearch.settings import Settings

if TYPE_CHECKING:  # imports torch
    from petsearch.adapters.clip.model import OpenClipModel

WEIGHTS = "open_clip_model.safetensors"
CONFIG = "open_clip_config.json"
LABELS = "labels.json"
CALIBRATION = "calibration.json"
CARD = "MODEL_CARD.md"
_MOST_HEADER_BYTES = 100_000_000
"""What the format allows."""
_FILES = (WEIGHTS, CONFIG, LABELS, CALIBRATION, "metrics.json")


class _Label(BaseModel):
    breed: str
    species: str


class _Words(BaseModel):
    """What labels.json may say."""

    labels: tuple[_Label, ...] = ()
    prompt_templates: tuple[str, ...] = ("{}",)
    label_templates: tuple[str, ...] = ("{}",)


@dataclass(frozen=True)
class CalibrationData:
    """Labelled photos that no training saw."""

    dataset: str
    split: str
    label_column: str


def publish_folder(
    folder: Path,
    *,
    name: str = "",
    data_dir: Path | None = None,
    calibrate_with: CalibrationData | None = None,
) -> Published:
    """Publish a model folder.

    Args:
        name: what the id begins with; the folder's name if empty.
        data_dir: of a single-process server, running or not; None for what the settings name.

    Raises:
        ConfigurationError: the folder holds no model that works, or there is no store.
        InvalidInput: the name cannot be one, or the data set cannot be read.
    """
    registry = Registry(open_store(_settings(data_dir)))
    source = resolve_model(f"dir:{folder}")
    model_id = f"{name or source.name}-{source.model_id().rpartition('-')[2]}"
    files = {file: folder / file for file in _FILES if (folder / file).is_file()}
    before = registry.find(model_id)
    if before is not None and calibrate_with is None and before.holds(files):
        return Published(before, is_new=False)
    from petsearch.adapters.clip.model import load_model

    _check_whole(folder / WEIGHTS)
    _check_labels(files.get(LABELS))
    model = load_model(source)
    _check_answers(model)
    with tempfile.TemporaryDirectory() as made:
        if calibrate_with is not None:
            files[CALIBRATION] = _calibrate(model, calibrate_with, Path(made))
        files[CARD] = write_card(
            Path(made) / CARD, model_id, model.info, files, of_training=folder / CARD
        )
        return registry.publish(model_id, files, datetime.now(UTC))


def _settings(data_dir: Path | None) -> Settings:
    settings = Settings.from_environment()
    if data_dir is not None:
        return settings.model_copy(update={"store_url": f"file:{data_dir.resolve() / 'objects'}"})
    settings.require("store_url")
    return settings


def _check_whole(weights: Path) -> None:
    """The file is as long as its header says, in the format of safetensors."""
    size = weights.stat().st_size
    with weights.open("rb") as file:
        header_bytes = int.from_bytes(file.read(8), "little")
        try:
            header = json.loads(file.read(min(header_bytes, _MOST_HEADER_BYTES)))
            ends = [entry["data_offsets"][1] for name, entry in header.items() if name[:2] != "__"]
        except (ValueError, AttributeError, KeyError, TypeError, IndexError) as error:
            raise ConfigurationError(f"{weights} is no safetensors file.") from error
    if not ends or size != 8 + header_bytes + max(ends):
        raise ConfigurationError(f"{weights} is cut off or damaged; copy it again.")


def _check_labels(path: Path | None) -> None:
    if path is None:
        return
    try:
        _Words.model_validate_json(path.read_bytes())
    except ValidationError as error:
        raise ConfigurationError(f"{path} cannot be used: {error.errors()[0]['msg']}.") from error


def _check_answers(model: ClipModel) -> None:
    """It embeds a picture and a text into finite unit vectors of one space."""
    spec = model.info.pixel_spec
    grey = np.full((1, 3, spec.height, spec.width), 127, np.uint8)
    rows = [model.encode_pixels(grey), model.encode_tokens(model.tokenise(["a pet"]))]
    for row in rows:
        if row.shape != (1, model.info.dim) or not np.isclose(np.linalg.norm(row), 1, atol=1e-2):
            raise ConfigurationError("The model does not work: its embeddings are no unit vectors.")


def _calibrate(model: "OpenClipModel", data: CalibrationData, folder: Path) -> Path:
    """calibration.json, fitted on one half of the photos."""
    from petsearch.client import from_dataset
    from petsearch.sources import DatasetOptions
    from training.calibration.calibrate import fit, prepare_texts
    from training.calibration.gallery import photo_gallery
    from training.drawings.config import SAMPLE_CONFIG, read_config
    from training.drawings.model_folder import write_json

    options = DatasetOptions(data.split, data.label_column, limit=None)
    gallery = photo_gallery(model, from_dataset(data.dataset, options).photos)
    texts = prepare_texts(model, read_config(SAMPLE_CONFIG).data)
    path = folder / CALIBRATION
    write_json(path, asdict(fit(gallery.half(0), texts, model.info)))
    return path
