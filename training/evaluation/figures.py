"""The results of an evaluation; each figure carries the protocol it was measured with."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from petsearch.calibration.resampling import (
    Estimate,
    Resampling,
    Statistic,
    estimate,
    estimate_difference,
)
from training.evaluation.photos import BrokenPhoto

Task = Literal["classification", "text_to_image", "image_to_image"]


@dataclass(frozen=True)
class Protocol:
    """How a figure was measured; only figures with equal protocols can be compared."""

    task: Task
    data: str
    split: str
    photos: int
    """Number of photos in the gallery, or that were classified."""
    templates: tuple[str, ...]
    """Empty for photo queries; several templates are one ensemble."""
    class_names: tuple[str, ...]
    """As they are inserted into the templates."""


@dataclass(frozen=True)
class Measured:
    """A measured figure of one model, without its interval."""

    metric: str
    unit: Literal["photos", "queries"]
    statistic: Statistic
    protocol: Protocol


@dataclass(frozen=True)
class Figure:
    """A figure with its interval, and the baseline's on the same photos or queries."""

    key: str
    """Stable: `classification.single.top1`."""
    metric: str
    count: int
    """Number of photos or queries that it is the mean of."""
    unit: Literal["photos", "queries"]
    estimate: Estimate
    protocol: Protocol
    baseline: Estimate | None = None
    difference: Estimate | None = None
    """This model minus the baseline; a paired bootstrap."""


@dataclass(frozen=True)
class ModelFacts:
    """The evaluated model."""

    model_id: str
    address: str
    """Its address; of a local folder only its own name: `dir:pets-base`."""
    dim: int
    image_size: int
    device: str
    precision: str


@dataclass(frozen=True)
class DataFacts:
    """The evaluated photos, and those that were left out."""

    name: str
    split: str
    image_column: str
    label_column: str
    photos: int
    """Number of photos that were measured."""
    skipped: tuple[BrokenPhoto, ...]
    """Photos that cannot be decoded or have no label."""
    not_named: Mapping[str, int]
    """Number of photos by class, for classes without a label; only used to measure forgetting."""


@dataclass(frozen=True)
class BreedRow:
    """Results of one class with the single prompt."""

    breed: str
    species: str | None
    photos: int
    recall: float
    """Share of its photos that are classified correctly."""
    precision: float | None
    """Share of the photos predicted as this class that belong to it; None if there are none."""
    precision_at_5: float | None
    """Of its text query; None if the gallery has fewer than five photos."""
    average_precision: float
    baseline_recall: float | None


@dataclass(frozen=True)
class Confusion:
    """Photos of one class that are predicted as another."""

    truth: str
    taken_for: str
    count: int
    photos: int
    """Number of photos in the true class."""


@dataclass(frozen=True)
class Bin:
    """Results with similar confidence."""

    share: float
    """Mean confidence."""
    right: float
    """Share that is correct."""
    count: int


@dataclass(frozen=True)
class Curve:
    """The calibration of one kind of confidence."""

    kind: str
    bins: tuple[Bin, ...]
    expected_calibration_error: float
    brier: float
    count: int


@dataclass(frozen=True)
class Reliability:
    """Reliability curves; if queries were not calibrated, the reason."""

    curves: tuple[Curve, ...]
    not_fitted: str | None


@dataclass(frozen=True)
class Forgetting:
    """Accuracy on labels that the model was not trained on."""

    what: str
    """A sentence that describes those labels."""
    figure: Figure | None
    """None if there are no such photos."""


@dataclass(frozen=True)
class Throughput:
    """Speed of the model as it is served."""

    device: str
    precision: str
    batch_size: int
    photos_per_s: float
    """Encoding of pixels."""
    decoded_per_s: float
    """Decoding and resizing in one thread."""
    texts_per_s: float


@dataclass(frozen=True)
class Evaluation:
    """All results of one model on one split, with an optional baseline."""

    model: ModelFacts
    baseline: ModelFacts | None
    data: DataFacts
    class_names: tuple[str, ...]
    resamples: int
    seed: int
    figures: tuple[Figure, ...]
    breeds: tuple[BreedRow, ...]
    confusion: tuple[tuple[int, ...], ...]
    """Rows are labels, columns are predicted classes; single prompt."""
    confusions: tuple[Confusion, ...]
    """The most frequent first."""
    reliability: Reliability
    forgetting: Forgetting
    throughput: Throughput

    def figure(self, key: str) -> Figure:
        """The figure with a key; KeyError if there is none."""
        return {figure.key: figure for figure in self.figures}[key]


def figure_of(
    key: str, measured: Measured, baseline: Measured | None, resampling: Resampling
) -> Figure:
    """A figure with its interval, and the baseline's with the same resamples."""
    return Figure(
        key=key,
        metric=measured.metric,
        count=measured.statistic.count,
        unit=measured.unit,
        estimate=estimate(measured.statistic, resampling),
        protocol=measured.protocol,
        baseline=estimate(baseline.statistic, resampling) if baseline else None,
        difference=estimate_difference(measured.statistic, baseline.statistic, resampling)
        if baseline
        else None,
    )
