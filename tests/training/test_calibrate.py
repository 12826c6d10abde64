"""Calibration holds on photos that it was not fitted on, and notices texts about something else."""

from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest

from petsearch.adapters.clip.model import OpenClipModel, load_model
from petsearch.calibration import CalibrationTexts, Gallery, fit
from petsearch.calibration.fitting import QueryResults, fit_logistic
from petsearch.calibration.off_topic import auc, best_scores
from petsearch.domain.calibration import Calibration
from petsearch.models.folder import CALIBRATION
from petsearch.sample.catalogue import DEMO_SEED, HELD_OUT_SEED, MODEL_DIR, TRAINING_SEED
from petsearch.sample.queries import ATTRIBUTE_QUERIES
from training.calibration.calibrate import (
    KindReliability,
    check,
    prepare_texts,
    with_off_topic_measured,
)
from training.calibration.gallery import SEED, labelled_gallery
from training.drawings.config import SAMPLE_CONFIG, read_config
from training.drawings.drawn_photos import drawn_photos
from training.evaluation.embedding import embed_texts
from training.evaluation.metrics import brier_score, expected_calibration_error
from training.evaluation.photos import load_split
from training.runs.model_folder import write_json

DATA = read_config(SAMPLE_CONFIG).data


@pytest.fixture(scope="module")
def sample() -> OpenClipModel:
    return load_model("sample", device="cpu")


@pytest.fixture(scope="module")
def texts(sample: OpenClipModel) -> CalibrationTexts:
    return prepare_texts(sample, DATA)


@pytest.fixture(scope="module")
def drawings(sample: OpenClipModel) -> Gallery:
    """Of the evaluation's seed: the bundled calibration was fitted on another."""
    return labelled_gallery(sample, drawn_photos(range(228), HELD_OUT_SEED))


@pytest.fixture(scope="module")
def bundled(sample: OpenClipModel) -> Calibration:
    assert sample.info.calibration is not None
    return sample.info.calibration


def assert_holds(report: KindReliability) -> None:
    assert report.expected_calibration_error <= 0.05
    assert report.brier < report.brier_of_a_constant


def test_it_was_fitted_on_drawings_of_a_seed_of_its_own() -> None:
    assert SEED not in (DEMO_SEED, TRAINING_SEED, HELD_OUT_SEED)


def test_the_bundled_calibration_holds_on_other_drawings(
    bundled: Calibration, drawings: Gallery, texts: CalibrationTexts
) -> None:
    reports = check(bundled, drawings, texts)
    assert set(reports) == {"breed_text", "species_text", "photo"}
    for report in reports.values():
        assert_holds(report)


def test_the_bundled_calibration_notices_texts_about_something_else(
    sample: OpenClipModel, bundled: Calibration, drawings: Gallery
) -> None:
    templates = sample.info.prompt_templates
    asked = [query.words for query in ATTRIBUTE_QUERIES]
    about_pets, about_else = (
        best_scores(embed_texts(sample, words, templates), drawings.embeddings, bundled.spread)
        for words in (asked, DATA.off_topic_held_out)
    )
    line = bundled.off_topic
    assert line.can_tell
    assert auc(about_pets.on_topic(line), about_else.on_topic(line)) >= 0.95
    assert (about_else.on_topic(line) < line.below).mean() >= 0.8
    assert (about_pets.on_topic(line) < line.below).mean() <= 0.1


def test_the_bundled_model_tells_held_out_texts_as_it_says(
    sample: OpenClipModel, bundled: Calibration, drawings: Gallery
) -> None:
    """On other drawings than those that the bundled figures are of."""
    measured, rows = with_off_topic_measured(bundled, sample, drawings.embeddings)
    assert measured.off_topic.can_tell
    assert [row.kind for row in rows[:4]] == ["all", "breed names", "attributes", "sentences"]


def test_a_calibration_of_real_photos_holds_on_the_other_half(shared: Path) -> None:
    clip = load_model(f"dir:{shared / 'models/pets-base'}", device="cpu")
    photos = load_split(str(shared / "data/oxford-iiit-pet"), "test")
    gallery = labelled_gallery(clip, photos.subset(range(0, len(photos), 3)))
    words = prepare_texts(clip, DATA)
    fitted = fit(gallery.half(0), words, clip.info)
    for report in check(fitted, gallery.half(1), words).values():
        assert_holds(report)
    others = gallery.half(1).embeddings
    about_else = embed_texts(clip, DATA.off_topic_held_out, clip.info.prompt_templates)
    best = [best_scores(rows, others, fitted.spread) for rows in (words.breeds, about_else)]
    about_pets, away = (photos.on_topic(fitted.off_topic) for photos in best)
    assert auc(about_pets, away) >= 0.8


def test_a_calibration_of_other_weights_is_not_used(bundled: Calibration, tmp_path: Path) -> None:
    for name in ("open_clip_config.json", "open_clip_model.safetensors", "labels.json"):
        (tmp_path / name).write_bytes((MODEL_DIR / name).read_bytes())
    for weights, used in ((bundled.weights, True), ("0123456789ab", False)):
        write_json(tmp_path / CALIBRATION, asdict(replace(bundled, weights=weights)))
        loaded = load_model(f"dir:{tmp_path}", device="cpu")
        assert (loaded.info.calibration is not None) == used


def test_a_curve_is_found_again() -> None:
    rng = np.random.default_rng(0)
    score, z = rng.uniform(0, 1, 40_000), rng.uniform(-1, 5, 40_000)
    shares = 1 / (1 + np.exp(-(2.0 * score + 1.7 * z - 3.0)))
    found = fit_logistic(QueryResults(score, z, rng.random(len(z)) < shares))
    weights = (found.score_weight, found.z_weight, found.intercept)
    assert weights == pytest.approx((2.0, 1.7, -3.0), rel=0.06)


def test_what_falls_is_left_out_of_a_curve() -> None:
    rng = np.random.default_rng(0)
    score, z = rng.uniform(0, 1, 10_000), rng.uniform(-1, 5, 10_000)
    shares = 1 / (1 + np.exp(-(1.7 * z - 2.0 * score - 3.0)))
    found = fit_logistic(QueryResults(score, z, rng.random(len(z)) < shares))
    assert found.score_weight == 0.0
    assert found.z_weight > 1.0


def test_rights_and_wrongs_that_z_parts_still_give_a_finite_curve() -> None:
    z = np.arange(-5.0, 5.0)
    found = fit_logistic(QueryResults(np.zeros_like(z), z, z > 0))
    assert 0 < found.z_weight < 100


def test_the_calibration_error_is_that_of_its_bins() -> None:
    shares = np.repeat([0.2, 0.7], 50)
    right = np.concatenate([np.repeat([1.0, 0.0], [10, 40]), np.repeat([1.0, 0.0], [40, 10])])
    assert expected_calibration_error(shares, right, bins=2) == pytest.approx(0.05)
    assert brier_score(np.array([0.5, 1.0]), np.array([1.0, 1.0])) == pytest.approx(0.125)
