"""Calibration of scores: the confidence of a result, and whether a query is off topic.

Both depend on a score and on its standard score z = (score - mean) / deviation, where mean and
deviation are those of the query's scores with all photos. They are derived from the query's
embedding and from the mean and covariance of held-out photos' embeddings (ADR 0014).
`petsearch.calibration` fits a calibration.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import TypeAdapter, ValidationError

from petsearch.domain.errors import ConfigurationError

QueryKind = Literal["breed_text", "species_text", "photo"]
"""A text that is the name of a breed, one that is the name of a species, or a photo."""
LEAST_FLAGGED = 0.8
"""Of off-topic texts, at 5 % false alarms: what a model must flag to say anything about them."""


@dataclass(frozen=True)
class Spread:
    """Mean and covariance of photos' embeddings. The covariance is of low rank plus a diagonal."""

    mean: tuple[float, ...]
    """`(dim,)`"""
    factors: tuple[tuple[float, ...], ...]
    """`(rank, dim)`: the covariance is `factors.T @ factors + rest * identity`."""
    rest: float

    def of_scores(self, embedding: NDArray[np.float32]) -> tuple[float, float]:
        """Mean and standard deviation of the scores of a query's embedding `(dim,)`."""
        mean, factors = self._arrays
        variance = float(np.square(factors @ embedding).sum()) + self.rest
        return float(mean @ embedding), math.sqrt(variance)

    @cached_property
    def _arrays(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        return np.asarray(self.mean, np.float32), np.asarray(self.factors, np.float32)


@dataclass(frozen=True)
class Logistic:
    """`1 / (1 + exp(-(score_weight score + z_weight z + intercept)))` (Platt 1999).

    Neither weight is below 0, so for a given query the probability rises with the score.
    """

    score_weight: float
    z_weight: float
    intercept: float


@dataclass(frozen=True)
class OffTopicMeasurement:
    """How well a model tells held-out texts about pets from others (ADR 51)."""

    about_pets: int
    """How many texts."""
    about_else: int
    area: float
    """Under the ROC curve, 0..1."""
    flagged: float
    """Share of off-topic texts flagged, 0..1, where 5 % of the others are flagged as well."""
    flagged_from: float
    """The lower 95 % bound of `flagged`."""


@dataclass(frozen=True)
class OffTopic:
    """Separates texts about pets from others by the score and z of their best photo.

    Both are used, because models differ: one that was trained to push other texts away from every
    photo gives these low scores, any other model gives them a best photo with a low z.
    """

    score_weight: float
    z_weight: float
    below: float
    measured: OffTopicMeasurement | None = None
    """None if nobody measured it, as in files of earlier versions."""

    @property
    def can_tell(self) -> bool:
        """Whether its answers are worth giving: measured, and good enough."""
        return self.measured is not None and self.measured.flagged_from >= LEAST_FLAGGED

    def holds(self, score: float, z: float) -> bool:
        """Whether a text with this best photo is off topic."""
        return self.score_weight * score + self.z_weight * z < self.below


@dataclass(frozen=True)
class GuessCurve:
    """The share of right guesses: `1 / (1 + exp(-(weight log_odds + intercept)))`.

    `1 / weight` is a temperature (Guo et al., "On calibration of modern neural networks", 2017).
    """

    weight: float
    intercept: float

    def __post_init__(self) -> None:
        if self.weight <= 0:
            raise ValueError("a curve must rise: its weight must be above 0")

    def probability(self, log_odds: NDArray[np.float64]) -> NDArray[np.float64]:
        """The probability that a guess with these log-odds is right, of the same shape."""
        line = self.weight * log_odds + self.intercept
        return np.asarray(1.0 / (1.0 + np.exp(-np.clip(line, -60, 60))), np.float64)


@dataclass(frozen=True)
class Guesses:
    """The calibration of what a model takes photos for."""

    species: GuessCurve
    breed: GuessCurve


@dataclass(frozen=True)
class Calibration:
    """The calibration of one model."""

    weights: str
    """`weights_hash_of` the model that it was fitted for."""
    spread: Spread
    breed_text: Logistic | None
    """None if results are not calibrated, for want of labelled photos; so are the next two."""
    species_text: Logistic | None
    photo: Logistic | None
    off_topic: OffTopic
    guesses: Guesses | None = None
    """None if species and breeds are not calibrated, as in files of earlier versions."""
    of_catalogue: bool = False
    """It was fitted on photos of the catalogue that the model serves, not before (ADR 54)."""

    def __post_init__(self) -> None:
        for curve in filter(None, (self.breed_text, self.species_text, self.photo)):
            weights = (curve.score_weight, curve.z_weight)
            if min(weights) < 0 or max(weights) <= 0:
                raise ValueError("a curve must rise: no weight below 0, one above")
        if self.spread.rest <= 0:
            raise ValueError("the rest of the variance must be above 0")

    def query(self, embedding: NDArray[np.float32]) -> "QueryCalibration":
        """The calibration of one query's scores."""
        return QueryCalibration(self, *self.spread.of_scores(embedding))


@dataclass(frozen=True)
class QueryCalibration:
    """A calibration applied to the scores of one query."""

    calibration: Calibration
    mean: float
    deviation: float

    def z(self, score: float) -> float:
        """The standard score: how many deviations a score is above the mean."""
        return (score - self.mean) / self.deviation

    def knows(self, kind: QueryKind) -> bool:
        """Whether results of such queries are calibrated."""
        return getattr(self.calibration, kind) is not None

    def confidence(self, kind: QueryKind, score: float) -> float:
        """The probability that a result with this score is right, 0..1; for kinds it `knows`."""
        slope, intercept = self._line(kind)
        return 1.0 / (1.0 + math.exp(-max(-60.0, min(60.0, slope * score + intercept))))

    def score_at(self, kind: QueryKind, confidence: float) -> float:
        """The lowest score with this confidence; infinite if there is none."""
        if not 0.0 < confidence < 1.0:
            return math.inf if confidence >= 1.0 else -math.inf
        slope, intercept = self._line(kind)
        return (math.log(confidence / (1.0 - confidence)) - intercept) / slope

    def _line(self, kind: QueryKind) -> tuple[float, float]:
        """Slope and intercept of the curve's exponent as a function of this query's scores."""
        curve: Logistic = getattr(self.calibration, kind)
        slope = curve.score_weight + curve.z_weight / self.deviation
        return slope, curve.intercept - curve.z_weight * self.mean / self.deviation

    def is_off_topic(self, best_score: float) -> bool | None:
        """Whether the query is off topic, given the score of its best photo; None if not known."""
        line = self.calibration.off_topic
        return line.holds(best_score, self.z(best_score)) if line.can_tell else None


def weights_hash_of(model_id: str) -> str:
    """The hash at the end of a model's id, which does not depend on its name."""
    return model_id.rpartition("-")[2]


@cache
def _calibrations() -> TypeAdapter[Calibration]:
    return TypeAdapter(Calibration)  # takes 40 ms, which few processes need


def read_calibration(data: bytes) -> Calibration:
    """The content of a calibration.json.

    Raises:
        ConfigurationError: it is not valid.
    """
    try:
        return _calibrations().validate_json(data)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the file"
        raise ConfigurationError(
            f"calibration.json cannot be used: {where}: {first['msg']}. "
            "Write it again with: python -m training.calibration.calibrate"
        ) from error


def query_kind_of(text: str, breeds: Sequence[str], species: Sequence[str]) -> QueryKind | None:
    """The kind of a text that is only a name: `siamese`, `a Siamese cat`, `dogs`, `the pug`."""
    words = text.lower().split()
    if words and words[0] in _ARTICLES:
        words = words[1:]
    name = " ".join(words)
    singular = name.removesuffix("s")
    if name in species or singular in species:
        return "species_text"
    forms = {name, singular}
    forms |= {form.removesuffix(f" {word}") for form in (name, singular) for word in species}
    return "breed_text" if forms & set(breeds) else None


_ARTICLES = ("a", "an", "the")
