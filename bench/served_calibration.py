"""Reliability of a server's confidences, measured over HTTP on photos not used for calibration.

The protocol of training/calibration/calibrate.py: the results of a query are its best 2R, where R
is the number of relevant photos, so that right and wrong results balance. Off-topic texts are those
that nothing was fitted on.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from bench.rankings import ServerClient, truth_of
from petsearch.calibration.off_topic import auc
from petsearch.domain import JsonDict
from petsearch.domain.prompts import OXFORD_LABELS, species_of
from training.evaluation.metrics import brier_score, expected_calibration_error


@dataclass(frozen=True)
class Reliability:
    """The reliability of the confidences of one kind of query."""

    kind: str
    results: int
    share_right: float
    expected_calibration_error: float
    brier: float
    brier_of_a_constant: float


@dataclass(frozen=True)
class OffTopicResponses:
    """Responses to off-topic texts, and to breed names."""

    off_topic_texts: int
    flagged: float
    """Share of off-topic texts answered with `no_good_match`; none if the model says null."""
    wrongly_flagged: float
    """Share of breed names."""
    auc_of_the_best_score: float
    """What the best score alone tells; for what the calibration tells see bench/off_topic.py."""


def measure_confidences(server: ServerClient) -> list[Reliability]:
    """Measure each kind of query."""
    images = list(server.images())
    kinds = {
        "breed_text": _breed_results(server, images),
        "species_text": _species_results(server, images),
        "photo": _photo_results(server, images),
    }
    return [_held(kind, list(results)) for kind, results in kinds.items()]


def measure_off_topic(server: ServerClient, off_topic: Sequence[str]) -> OffTopicResponses:
    """Search for off-topic texts and for breeds."""
    away = [server.page("/v1/search", q=text, limit=1) for text in off_topic]
    asked = [server.page("/v1/search", q=label.breed, limit=1) for label in OXFORD_LABELS]
    best, best_away = (
        np.array([answer["items"][0]["score"] for answer in answers]) for answers in (asked, away)
    )
    return OffTopicResponses(
        off_topic_texts=len(away),
        flagged=float(np.mean([answer["no_good_match"] is True for answer in away])),
        wrongly_flagged=float(np.mean([answer["no_good_match"] is True for answer in asked])),
        auc_of_the_best_score=auc(best, best_away),
    )


_Result = tuple[float, bool]
"""A confidence, and whether the result was right."""


def _breed_results(server: ServerClient, images: Sequence[JsonDict]) -> Iterator[_Result]:
    every = Counter(truth_of(image) for image in images)
    for breed, count in every.items():
        for hit in server.ranking("/v1/search", 2 * count, q=breed):
            yield hit["confidence"], truth_of(hit) == breed


def _species_results(server: ServerClient, images: Sequence[JsonDict]) -> Iterator[_Result]:
    every = Counter(species_of(truth_of(image)) for image in images)
    for species, count in every.items():
        for hit in server.ranking("/v1/search", 2 * count, q=species):
            yield hit["confidence"], species_of(truth_of(hit)) == species


def _photo_results(server: ServerClient, images: Sequence[JsonDict]) -> Iterator[_Result]:
    every = Counter(truth_of(image) for image in images)
    for image in images:
        breed = truth_of(image)
        path = f"/v1/images/{image['image_id']}/similar"
        for hit in server.ranking(path, 2 * (every[breed] - 1)):
            yield hit["confidence"], truth_of(hit) == breed


def _held(kind: str, results: Sequence[_Result]) -> Reliability:
    shares = np.array([share for share, _ in results], np.float64)
    right = np.array([is_right for _, is_right in results], np.float64)
    return Reliability(
        kind=kind,
        results=len(results),
        share_right=float(right.mean()),
        expected_calibration_error=expected_calibration_error(shares, right),
        brier=brier_score(shares, right),
        brier_of_a_constant=brier_score(np.full_like(right, right.mean()), right),
    )
