"""What an evaluation says, as frozen dataclasses; each figure carries how it was measured."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from training.evaluation.photos import BrokenPhoto
from training.evaluation.resampling import (
    Estimate,
    Resampling,
    Statistic,
    estimate,
    estimate_difference,
)

Task = Literal["classification", "text_to_image", "image_to_image"]


@dataclass(frozen=True)
class Protocol:
    """What has to be the same for two figures to be compared."""

    task: Task
    data: str
    split: str
    photos: int
    """In the gallery, or classified."""
    templates: tuple[str, ...]
    """None where no text is asked; several are one ensemble."""
    class_names: tuple[str, ...]
    """As they are put into the templates."""


@dataclass(frozen=True)
class Measured:
    """A figure of one model, not yet resampled."""

    metric: str
    unit: Literal["photos", "queries"]
    statistic: Statistic
    protocol: Protocol


@dataclass(frozen=True)
class Figure:
    """A figure with its interval, and beside it the baseline's at the same photos or queries."""

    key: str
    """Stable: `classification.single.top1`."""
    metric: str
    count: int
    """Photos or queries it is the mean of."""
    unit: Literal["photos", "queries"]
    estimate: Estimate
    protocol: Protocol
    baseline: Estimate | None = None
    difference: Estimate | None = None
    """This model minus the baseline, resampled in pairs."""


@dataclass(frozen=True)
class ModelFacts:
    """Which model."""

    model_id: str
    address: str
    """How it was named, of a folder only its own name: `dir:pets-base`."""
    dim: int
    image_size: int
    device: str
    precision: str


@dataclass(frozen=True)
class DataFacts:
    """Which photos, and which of them were left out."""

    name: str
    split: str
    image_column: str
    label_column: str
    photos: int
    """That were measured."""
    skipped: tuple[BrokenPhoto, ...]
    """They do not decode, or have no label."""
    not_named: Mapping[str, int]
    """Photos of classes that the model cannot name, by class; no figure but forgetting has them."""


@dataclass(frozen=True)
class BreedRow:
    """One class, single prompt."""

    breed: str
    species: str | None
    photos: int
    recall: float
    """Share of its photos that are classified right."""
    precision: float | None
    """Share of what is classified so that is right; None if nothing is."""
    precision_at_5: float | None
    """Of the text query that names it; None in a gallery of fewer than five."""
    average_precision: float
    baseline_recall: float | None


@dataclass(frozen=True)
class Confusion:
    """Photos of one class that are taken for another."""

    truth: str
    taken_for: str
    count: int
    photos: int
    """Of the true class."""


@dataclass(frozen=True)
class Bin:
    """Results of about the same confidence."""

    share: float
    """Mean confidence."""
    right: float
    """Share that is right."""
    count: int


@dataclass(frozen=True)
class Curve:
    """How well one kind of confidence holds."""

    kind: str
    bins: tuple[Bin, ...]
    expected_calibration_error: float
    brier: float
    count: int


@dataclass(frozen=True)
class Reliability:
    """Curves, and why there are no more of them, if so."""

    curves: tuple[Curve, ...]
    not_fitted: str | None


@dataclass(frozen=True)
class Forgetting:
    """Accuracy on labels that the model was not trained on."""

    what: str
    """A sentence: which labels those are."""
    figure: Figure | None
    """None where there is nothing to measure it on."""


@dataclass(frozen=True)
class Throughput:
    """How fast, as the model is served."""

    device: str
    precision: str
    batch_size: int
    photos_per_s: float
    """Encoded from pixels."""
    decoded_per_s: float
    """Decoded and resized, by one thread."""
    texts_per_s: float


@dataclass(frozen=True)
class Evaluation:
    """One model on one split, with a baseline if there is one."""

    model: ModelFacts
    baseline: ModelFacts | None
    data: DataFacts
    class_names: tuple[str, ...]
    resamples: int
    seed: int
    figures: tuple[Figure, ...]
    breeds: tuple[BreedRow, ...]
    confusion: tuple[tuple[int, ...], ...]
    """Rows are classes, columns what they were taken for; single prompt."""
    confusions: tuple[Confusion, ...]
    """The most frequent first."""
    reliability: Reliability
    forgetting: Forgetting
    throughput: Throughput

    def figure(self, key: str) -> Figure:
        """By its key.

        Raises:
            KeyError: there is none.
        """
        return {figure.key: figure for figure in self.figures}[key]


def figure_of(
    key: str, measured: Measured, baseline: Measured | None, resampling: Resampling
) -> Figure:
    """Resample a figure, and the baseline's with it."""
    difference = None
    if baseline is not None:
        difference = estimate_difference(measured.statistic, baseline.statistic, resampling)
    return Figure(
        key=key,
        metric=measured.metric,
        count=measured.statistic.count,
        unit=measured.unit,
        estimate=estimate(measured.statistic, resampling),
        protocol=measured.protocol,
        baseline=estimate(baseline.statistic, resampling) if baseline else None,
        difference=difference,
    )


def figures_of(
    measured: Mapping[str, Measured],
    baseline: Mapping[str, Measured] | None,
    resampling: Resampling,
    on_figure: Callable[[str], None] = lambda _: None,
) -> tuple[Figure, ...]:
    """Of everything that was measured, in its order."""
    made = []
    for key, one in measured.items():
        made.append(figure_of(key, one, baseline[key] if baseline else None, resampling))
        on_figure(key)
    return tuple(made)
