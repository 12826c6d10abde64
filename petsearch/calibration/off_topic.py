"""Off-topic detection: the line that is fitted, and how well it tells held-out texts (ADR 51).

Both look at the best photo of each text: its score, and how far that stands out (z, ADR 14).
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from petsearch.calibration.logistic_regression import fit_weights
from petsearch.calibration.resampling import Resampling
from petsearch.domain import Embeddings
from petsearch.domain.calibration import OffTopic, OffTopicMeasurement, Spread

FLAGGED_SHARE = 0.05
"""At most this share of texts about pets may be flagged as off topic."""
ALL = "all"
_LOWER = 0.05
_DIGITS = 5

_Values = NDArray[np.float64]


@dataclass(frozen=True)
class BestScores:
    """Score and z-score of the best photo of each text, `(n,)`."""

    score: _Values
    z: _Values

    @property
    def features(self) -> _Values:
        """Both as `(n, 2)`."""
        return np.stack([self.score, self.z], axis=1)

    def on_topic(self, line: OffTopic) -> _Values:
        """A score of each text that rises the more it is about pets; below `line.below` is off."""
        return line.score_weight * self.score + line.z_weight * self.z


@dataclass(frozen=True)
class OffTopicRow:
    """How well texts of one kind are told from all those of the other side."""

    kind: str
    is_about_pets: bool | None
    """None for the row of all texts."""
    figures: OffTopicMeasurement
    flagged_as_served: float
    """Share of the row's texts that are below the line: false alarms where they are about pets.
    Of all texts, the share of those about something else."""


def standard_scores(queries: Embeddings, gallery: Embeddings, spread: Spread) -> _Values:
    """z-score of every photo for every query, `(queries, gallery)`."""
    moments = np.array([spread.of_scores(query) for query in queries])
    return np.asarray((queries @ gallery.T - moments[:, :1]) / moments[:, 1:], np.float64)


def best_scores(queries: Embeddings, gallery: Embeddings, spread: Spread) -> BestScores:
    """The best photo of each query."""
    best = (queries @ gallery.T).max(axis=1).astype(np.float64)
    return BestScores(best, standard_scores(queries, gallery, spread).max(axis=1))


def fit_off_topic(about_pets: BestScores, about_else: BestScores) -> OffTopic:
    """Fit the line by logistic regression with both sides weighted equally.

    It lies halfway between them, or lower if it would flag more than `FLAGGED_SHARE` of the texts
    about pets.
    """
    features = np.concatenate([about_pets.features, about_else.features])
    scale = features.std(axis=0)
    is_pet = np.repeat([True, False], [len(about_pets.score), len(about_else.score)])
    shares = np.where(is_pet, 0.5 / is_pet.mean(), 0.5 / (1 - is_pet.mean()))
    mean = features.mean(axis=0)
    *weights, intercept = fit_weights((features - mean) / scale, is_pet, shares=shares, ridge=1.0)
    score_weight, z_weight = (rounded(float(w / s)) for w, s in zip(weights, scale, strict=True))
    direction = np.array([score_weight, z_weight])
    halfway = float(mean @ direction) - intercept
    lowest = float(np.quantile(about_pets.features @ direction, FLAGGED_SHARE))
    return OffTopic(score_weight, z_weight, rounded(min(halfway, lowest)))


def measure_off_topic(
    line: OffTopic,
    about_pets: Mapping[str, BestScores],
    about_else: Mapping[str, BestScores],
    resampling: Resampling | None = None,
) -> list[OffTopicRow]:
    """Measure held-out texts by kind; the first row is of all of them."""
    pets = {kind: scores.on_topic(line) for kind, scores in about_pets.items()}
    other = {kind: scores.on_topic(line) for kind, scores in about_else.items()}
    on, off = (np.concatenate([*side.values()]) for side in (pets, other))
    draws = resampling or Resampling()

    def row(
        kind: str, values: _Values, on: _Values, off: _Values, *, is_about_pets: bool | None = None
    ) -> OffTopicRow:
        served = float((values < line.below).mean())
        return OffTopicRow(kind, is_about_pets, _figures(on, off, draws), served)

    return [
        row(ALL, off, on, off),
        *(row(kind, values, values, off, is_about_pets=True) for kind, values in pets.items()),
        *(row(kind, values, on, values, is_about_pets=False) for kind, values in other.items()),
    ]


def _figures(on: _Values, off: _Values, resampling: Resampling) -> OffTopicMeasurement:
    drawn = [
        _flagged(on[chosen], off[others])
        for chosen, others in zip(
            resampling.draws(len(on)),
            # Of another seed: texts of the two sides do not belong together.
            Resampling(resampling.times, resampling.seed + 1).draws(len(off)),
            strict=True,
        )
    ]
    return OffTopicMeasurement(
        about_pets=len(on),
        about_else=len(off),
        area=rounded(auc(on, off)),
        flagged=rounded(_flagged(on, off)),
        flagged_from=rounded(float(np.quantile(drawn, _LOWER))),
    )


def _flagged(on: _Values, off: _Values) -> float:
    """Share of off-topic texts below the threshold that flags `FLAGGED_SHARE` of the others."""
    return float((off < np.quantile(on, FLAGGED_SHARE)).mean())


def auc(positive: NDArray[np.floating], negative: NDArray[np.floating]) -> float:
    """Probability that a positive `(n,)` scores above a negative `(m,)`; ties count half."""
    if not positive.size or not negative.size:
        raise ValueError("AUC needs at least one positive and one negative score")
    difference = positive[:, None] - negative[None, :]
    return float(np.mean((difference > 0) + 0.5 * (difference == 0)))


def rounded(value: float) -> float:
    """To the digits that are kept of every fitted figure."""
    return float(f"{value:.{_DIGITS}g}")
