"""What a score is worth: calibrated confidence, and whether a query is about something else.

Both look at a score and at how far it stands out from what the query scores with photos in general:
the standard score z = (score - mean) / deviation, where mean and deviation follow from the query's
embedding and from the mean and covariance of held-out photos' embeddings (ADR 0014).
`training/calibration/calibrate.py` fits what is applied here and writes it as calibration.json.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import TypeAdapter, ValidationError

from petsearch.domain.errors import ConfigurationError

QueryKind = Literal["breed_text", "species_text", "photo"]
"""A text that names a breed, one that names a species, a photo."""


@dataclass(frozen=True)
class Spread:
    """Mean and covariance of photos' embeddings; the covariance as factors and a rest."""

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

    Neither weight is below 0, so for any one query it rises with the score.
    """

    score_weight: float
    z_weight: float
    intercept: float


@dataclass(frozen=True)
class OffTopic:
    """A line between texts about pets and others, by the score and the z of their best photo.

    Which of the two tells more depends on the model: one that was trained to keep other texts away
    from every photo gives them low scores, any other gives them a best photo like all photos.
    """

    score_weight: float
    z_weight: float
    below: float

    def holds(self, score: float, z: float) -> bool:
        """Whether a text with such a best photo is about something else."""
        return self.score_weight * score + self.z_weight * z < self.below


@dataclass(frozen=True)
class Calibration:
    """Of one model."""

    weights: str
    """The hash in the id of the model it was fitted for: see `weights_of`."""
    spread: Spread
    breed_text: Logistic
    species_text: Logistic
    photo: Logistic
    off_topic: OffTopic

    def __post_init__(self) -> None:
        for curve in (self.breed_text, self.species_text, self.photo):
            weights = (curve.score_weight, curve.z_weight)
            if min(weights) < 0 or max(weights) <= 0:
                raise ValueError("a curve must rise: no weight below 0, one above")
        if self.spread.rest <= 0:
            raise ValueError("the rest of the variance must be above 0")

    def query(self, embedding: NDArray[np.float32]) -> "QueryCalibration":
        """For the scores of one query."""
        return QueryCalibration(self, *self.spread.of_scores(embedding))


@dataclass(frozen=True)
class QueryCalibration:
    """Reads the scores of one query."""

    calibration: Calibration
    mean: float
    deviation: float

    def z(self, score: float) -> float:
        """How many deviations above the mean a score is."""
        return (score - self.mean) / self.deviation

    def confidence(self, kind: QueryKind, score: float) -> float:
        """Which share of results with such a score is right, 0..1."""
        slope, intercept = self._line(kind)
        return 1.0 / (1.0 + math.exp(-max(-60.0, min(60.0, slope * score + intercept))))

    def score_at(self, kind: QueryKind, confidence: float) -> float:
        """The score from which on results have this confidence; infinite where none has."""
        if not 0.0 < confidence < 1.0:
            return math.inf if confidence >= 1.0 else -math.inf
        slope, intercept = self._line(kind)
        return (math.log(confidence / (1.0 - confidence)) - intercept) / slope

    def _line(self, kind: QueryKind) -> tuple[float, float]:
        """Slope and intercept of the curve's exponent, as a line over this query's scores."""
        curve: Logistic = getattr(self.calibration, kind)
        slope = curve.score_weight + curve.z_weight / self.deviation
        return slope, curve.intercept - curve.z_weight * self.mean / self.deviation

    def is_off_topic(self, best_score: float) -> bool:
        """Whether even the best photo does not match as it does for texts about pets."""
        return self.calibration.off_topic.holds(best_score, self.z(best_score))


def weights_of(model_id: str) -> str:
    """The hash at the end of a model's id, whatever its folder is called."""
    return model_id.rpartition("-")[2]


_CALIBRATION = TypeAdapter(Calibration)


def read_calibration(data: bytes) -> Calibration:
    """The content of a calibration.json.

    Raises:
        ConfigurationError: it is not valid.
    """
    try:
        return _CALIBRATION.validate_json(data)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the file"
        raise ConfigurationError(
            f"calibration.json cannot be used: {where}: {first['msg']}. "
            "Write it again with: python -m training.calibration.calibrate"
        ) from error


def kind_of_text(text: str, breeds: Sequence[str], species: Sequence[str]) -> QueryKind | None:
    """What a text names, if it names that alone: `siamese`, `a Siamese cat`, `dogs`, `the pug`."""
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
