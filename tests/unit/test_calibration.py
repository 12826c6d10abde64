"""What a score is worth: standard scores, curves that can be turned round, kinds of texts."""

import json
from dataclasses import asdict, replace

import numpy as np
import pytest

from petsearch.domain import Embeddings
from petsearch.domain.calibration import (
    Calibration,
    Logistic,
    OffTopic,
    OffTopicMeasurement,
    QueryKind,
    Spread,
    query_kind_of,
    read_calibration,
)
from petsearch.domain.errors import ConfigurationError

BREEDS = ("siamese", "great pyrenees", "yorkshire terrier", "black cat")
SPECIES = ("cat", "dog")
MEASURED = OffTopicMeasurement(138, 135, area=0.99, flagged=0.95, flagged_from=0.8)
LINE = OffTopic(score_weight=0.0, z_weight=2.0, below=3.0, measured=MEASURED)


def embeddings(count: int, dim: int = 6) -> Embeddings:
    rows = np.random.default_rng(0).normal(0.3, 1.0, (count, dim)).astype(np.float32)
    normalised: Embeddings = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    return normalised


def spread_of(photos: Embeddings) -> Spread:
    """With the covariance in full."""
    values, vectors = np.linalg.eigh(np.cov(photos, rowvar=False, bias=True))
    rest = float(values[0]) / 2
    factors = (vectors * np.sqrt(values - rest)).T
    return Spread(tuple(map(float, photos.mean(axis=0))), tuple(map(tuple, factors.tolist())), rest)


@pytest.fixture
def calibration() -> Calibration:
    curve = Logistic(1.0, 2.0, -3.0)
    return Calibration(
        "0123456789ab", spread_of(embeddings(200)), curve, curve, Logistic(0.0, 1.0, -1.0), LINE
    )


def test_mean_and_deviation_are_those_of_the_scores(calibration: Calibration) -> None:
    photos, query = embeddings(200), embeddings(3)[2]
    mean, deviation = calibration.spread.of_scores(query)
    scores = photos @ query
    assert mean == pytest.approx(float(scores.mean()), abs=1e-5)
    assert deviation == pytest.approx(float(scores.std()), abs=1e-5)


@pytest.mark.parametrize("kind", ["breed_text", "species_text", "photo"])
def test_confidence_rises_with_the_score_and_turns_round(
    calibration: Calibration, kind: QueryKind
) -> None:
    query = calibration.query(embeddings(1)[0])
    shares = [query.confidence(kind, score) for score in (-0.9, 0.0, 0.5, 0.9)]
    assert shares == sorted(shares)
    assert len(set(shares)) == 4
    for share in (0.05, 0.5, 0.95):
        assert query.confidence(kind, query.score_at(kind, share)) == pytest.approx(share)
    assert query.score_at(kind, 0.0) == -np.inf
    assert query.score_at(kind, 1.0) == np.inf


def test_a_low_score_may_count_too() -> None:
    line = OffTopic(score_weight=5.0, z_weight=0.5, below=2.0)
    assert line.holds(score=-0.4, z=4.0)
    assert not line.holds(score=0.6, z=2.0)


def test_a_best_photo_that_does_not_stand_out_is_off_topic(calibration: Calibration) -> None:
    query = calibration.query(embeddings(1)[0])
    assert query.is_off_topic(query.mean + 1.4 * query.deviation)
    assert not query.is_off_topic(query.mean + 1.6 * query.deviation)


@pytest.mark.parametrize("measured", [None, replace(MEASURED, flagged_from=0.79)])
def test_a_model_that_cannot_tell_says_so(
    calibration: Calibration, measured: OffTopicMeasurement | None
) -> None:
    line = replace(LINE, measured=measured)
    query = replace(calibration, off_topic=line).query(embeddings(1)[0])
    assert query.is_off_topic(query.mean + 1.4 * query.deviation) is None
    assert query.is_off_topic(query.mean + 9.0 * query.deviation) is None


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("siamese", "breed_text"),
        ("A Siamese cat", "breed_text"),
        ("siamese cats", "breed_text"),
        ("great pyrenees", "breed_text"),
        ("the great pyrenees dog", "breed_text"),
        ("yorkshire terriers", "breed_text"),
        ("black cat", "breed_text"),
        ("cat", "species_text"),
        ("dogs", "species_text"),
        ("a dog", "species_text"),
        ("siamese on a sofa", None),
        ("grey cat", None),
        ("cat dog", None),
        ("red sports car", None),
        ("a", None),
        ("", None),
    ],
)
def test_a_text_is_of_a_kind_only_if_it_names_that_alone(text: str, kind: QueryKind | None) -> None:
    assert query_kind_of(text, BREEDS, SPECIES) == kind


def test_it_comes_back_from_its_file(calibration: Calibration) -> None:
    assert read_calibration(json.dumps(asdict(calibration)).encode()) == calibration


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"photo": {"z_weight": 1.0}}, "photo"),
        ({"off_topic": {"below": "low"}}, "off_topic"),
        (None, "JSON"),
    ],
    ids=["half a curve", "no number", "no JSON"],
)
def test_a_broken_file_is_named(
    calibration: Calibration, change: dict[str, object] | None, words: str
) -> None:
    data = b"{" if change is None else json.dumps({**asdict(calibration), **change}).encode()
    with pytest.raises(ConfigurationError, match=words):
        read_calibration(data)


def test_a_curve_that_does_not_rise_is_refused(calibration: Calibration) -> None:
    falling = {"score_weight": 1.0, "z_weight": -1.0, "intercept": 0.0}
    with pytest.raises(ConfigurationError, match="must rise"):
        read_calibration(json.dumps(asdict(calibration) | {"photo": falling}).encode())
    with pytest.raises(ValueError, match="must rise"):
        replace(calibration, photo=Logistic(0.0, 0.0, 0.0))
