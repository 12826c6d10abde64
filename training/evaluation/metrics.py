"""Metrics of retrieval, classification and calibration, in numpy.

Retrieval metrics use the full ranking they are given. `scores` are float `(queries, gallery)`,
higher is better; `relevant` is bool of the same shape. Equal scores rank in gallery order. A query
without a relevant image is an error, not a zero.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
from numpy.typing import NDArray

Scores = NDArray[np.floating]
Relevance = NDArray[np.bool_]
Values = NDArray[np.float64]
"""`(n,)`: one for each photo or query; their mean is the figure."""
BINS = 10
"""Of confidences, by default."""


@dataclass(frozen=True)
class RetrievalValues:
    """Values of each query: at depths k, and over the full ranking."""

    precision_at: Mapping[int, Values]
    recall_at: Mapping[int, Values]
    average_precision: Values


def zero_shot_top1(scores: Scores, labels: NDArray[np.integer]) -> float:
    """Share of images `(n, classes)` whose best class equals their label `(n,)`."""
    return float(np.mean(scores.argmax(axis=1) == labels))


def mean_per_class_recall(right: NDArray[np.bool_], labels: NDArray[np.integer]) -> float:
    """Mean recall over the classes that occur in `labels`; both arguments are `(n,)`."""
    counts = np.bincount(labels)
    recalls = np.bincount(labels, right)[counts > 0] / counts[counts > 0]
    return float(recalls.mean())


def confusion_matrix(
    labels: NDArray[np.integer], predicted: NDArray[np.integer], classes: int
) -> NDArray[np.int64]:
    """Counts `(classes, classes)`: rows are labels, columns are predictions."""
    cells = np.bincount(labels * classes + predicted, minlength=classes * classes)
    return cells.reshape(classes, classes).astype(np.int64)


def retrieval_values(scores: Scores, relevant: Relevance, depths: Sequence[int]) -> RetrievalValues:
    """Precision, recall and average precision of every query, at depths of 1..gallery."""
    ranked = _ranked(scores, relevant, max(depths, default=1))
    firsts = {k: ranked[:, :k] for k in depths}
    return RetrievalValues(
        precision_at={k: first.mean(axis=1) for k, first in firsts.items()},
        recall_at={k: first.max(axis=1).astype(np.float64) for k, first in firsts.items()},
        average_precision=_average_precisions(ranked),
    )


def precision_at_k(scores: Scores, relevant: Relevance, k: int) -> float:
    """Mean over queries of the share of relevant images among the first `k` (1..gallery)."""
    return float(_ranked(scores, relevant, k)[:, :k].mean())


def recall_at_k(scores: Scores, relevant: Relevance, k: int) -> float:
    """Share of queries with at least one relevant image among the first `k` (1..gallery)."""
    return float(_ranked(scores, relevant, k)[:, :k].any(axis=1).mean())


def mean_average_precision(scores: Scores, relevant: Relevance) -> float:
    """Mean over queries of the mean precision at the rank of each relevant image."""
    return float(_average_precisions(_ranked(scores, relevant, 1)).mean())


def bins_of_equal_mass(shares: NDArray[np.floating], bins: int = BINS) -> list[NDArray[np.intp]]:
    """Indices of the results in each bin, lowest confidences first; no bin is empty."""
    return [part for part in np.array_split(np.argsort(shares, kind="stable"), bins) if len(part)]


def expected_calibration_error(
    shares: NDArray[np.floating], right: NDArray[np.floating], bins: int = BINS
) -> float:
    """Mean distance of confidence and outcome `(n,)`, 0..1, over bins with equal counts.

    Naeini, Cooper and Hauskrecht, AAAI 2015, with bins of equal mass.
    """
    gaps = [
        len(part) * abs(float(shares[part].mean() - right[part].mean()))
        for part in bins_of_equal_mass(shares, bins)
    ]
    return sum(gaps) / len(shares)


def brier_score(shares: NDArray[np.floating], right: NDArray[np.floating]) -> float:
    """Mean squared distance of confidence and outcome `(n,)`, 0..1; lower is better."""
    return float(np.mean((shares - right) ** 2))


def _average_precisions(ranked: Relevance) -> Values:
    precision = ranked.cumsum(axis=1) / np.arange(1, ranked.shape[1] + 1)
    return cast(Values, (precision * ranked).sum(axis=1) / ranked.sum(axis=1))


def _ranked(scores: Scores, relevant: Relevance, k: int) -> Relevance:
    if scores.shape != relevant.shape:
        raise ValueError(f"scores {scores.shape} and relevant {relevant.shape} differ in shape")
    if not 1 <= k <= scores.shape[1]:
        raise ValueError(f"k is {k}; the gallery has {scores.shape[1]} images")
    if not relevant.any(axis=1).all():
        raise ValueError("a query has no relevant image")
    return np.take_along_axis(relevant, np.argsort(-scores, axis=1, kind="stable"), axis=1)
