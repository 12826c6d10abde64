"""`publish --dataset` fits confidences on labelled photos and publishes them with the weights."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from petsearch.adapters.clip.model import load_model
from petsearch.app.connections import load_served, open_store
from petsearch.cli.publish import CalibrationData, publish_folder
from petsearch.domain import ModelInfo
from petsearch.domain.calibration import weights_hash_of
from petsearch.domain.errors import InvalidInput
from petsearch.models import CatalogueCalibrations, ServedModel
from petsearch.models.folder import CALIBRATION
from petsearch.sample.catalogue import MODEL_DIR, catalogue
from petsearch.settings import Settings
from tests.training.photo_sets import write_photo_set
from training.calibration.gallery import SEED

DRAWINGS = 228


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The bundled model without its calibration."""
    copied: Path = shutil.copytree(MODEL_DIR, tmp_path / "mine")
    (copied / CALIBRATION).unlink()
    return copied


@pytest.fixture
def drawings(tmp_path: Path) -> Path:
    drawn = list(catalogue(DRAWINGS, SEED))
    kinds = [drawing.kind for drawing in drawn]
    pictures = [drawing.to_jpeg() for drawing in drawn]
    return write_photo_set(tmp_path / "set", pictures, kinds, split="validation")


def test_confidences_are_fitted_and_published_with_the_weights(
    folder: Path, drawings: Path, tmp_path: Path
) -> None:
    data = CalibrationData(str(drawings), "validation", "label")
    before = publish_folder(folder, data_dir=tmp_path / "data").manifest
    published = publish_folder(folder, data_dir=tmp_path / "data", calibrate_with=data)
    assert published.is_new
    assert published.manifest.model_id == before.model_id
    there = tmp_path / "data" / "objects" / "models" / before.model_id
    fitted = load_model(f"dir:{there}", device="cpu").info.calibration
    assert fitted is not None
    assert fitted.weights == weights_hash_of(before.model_id)
    assert fitted.off_topic.measured is not None
    assert fitted.off_topic.measured.about_pets == 138
    card = (there / "MODEL_CARD.md").read_text()
    assert "Confidences are calibrated" in card
    assert "of 135 are flagged where 5 % of 138 texts about pets are" in card
    assert not (folder / CALIBRATION).exists()


def test_what_was_fitted_on_a_catalogue_is_served_from_the_start_unless_more_was_published(
    folder: Path, tmp_path: Path
) -> None:
    settings = Settings(store_url=f"file:{tmp_path / 'objects'}")

    def served(spec: str) -> ModelInfo:
        return load_served(settings, ServedModel(model_id="", spec=spec, precision="fp32")).info

    plain, bundled = served(f"dir:{folder}"), served("sample")
    assert plain.calibration is None
    assert bundled.calibration is not None
    fitted = replace(bundled.calibration, of_catalogue=True, photo=None)
    for model in (plain, bundled):
        CatalogueCalibrations(open_store(settings)).keep(model.model_id, fitted)
    assert served(f"dir:{folder}").calibration == fitted
    assert served("sample").calibration == bundled.calibration


def test_photos_the_model_cannot_name_calibrate_nothing_and_nothing_is_published(
    folder: Path, tmp_path: Path
) -> None:
    drawn = next(iter(catalogue(1, SEED))).to_jpeg()
    other = write_photo_set(tmp_path / "set", [drawn, drawn], ["tapir", "okapi"])
    data = CalibrationData(str(other), "train", "label")
    with pytest.raises(InvalidInput, match="breed that the model can name"):
        publish_folder(folder, data_dir=tmp_path / "data", calibrate_with=data)
    assert not (tmp_path / "data" / "objects" / "models").exists()
