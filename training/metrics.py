"""Retrieval and classification metrics, in numpy, each over the full ranking it is given.

`scores` are float `(queries, gallery)`, higher is better; `relevant` is bool of the same shape.
Equal scores rank in gallery order. A query without a relevant image is an error, not a zero.
"""

import numpy as np
from numpy.typing import NDArray

Scores = NDArray[np.floating]
Relevance = NDArray[np.bool_]


def zero_shot_top1(scores: Scores, labels: NDArray[np.integer]) -> float:
    """Share of images `(n, classes)` whose best class is their label `(n,)`."""
    return float(np.mean(scores.argmax(axis=1) == labels))


def precision_at_k(scores: Scores, relevant: Relevance, k: int) -> float:
    """Mean over queries of the share of relevant images among the first `k` (1..gallery)."""
    return float(_ranked(scores, relevant, k)[:, :k].mean())


def recall_at_k(scores: Scores, relevant: Relevance, k: int) -> float:
    """Share of queries with at least one relevant image among the first `k` (1..gallery)."""
    return float(_ranked(scores, relevant, k)[:, :k].any(axis=1).mean())


def mean_average_precision(scores: Scores, relevant: Relevance) -> float:
    """Mean over queries of the mean precision at the rank of each relevant image."""
    ranked = _ranked(scores, relevant, 1)
    ranks = np.arange(1, ranked.shape[1] + 1)
    precision = ranked.cumsum(axis=1) / ranks
    return float(((precision * ranked).sum(axis=1) / ranked.sum(axis=1)).mean())


def auc(positive: Scores, negative: Scores) -> float:
    """The chance that a positive `(n,)` scores above a negative `(m,)`; a tie counts half."""
    if not positive.size or not negative.size:
        raise ValueError("AUC needs at least one positive and one negative score")
    difference = positive[:, None] - negative[None, :]
    return float(np.mean((difference > 0) + 0.5 * (difference == 0)))


def _ranked(scores: Scores, relevant: Relevance, k: int) -> Relevance:
    if scores.shape != relevant.shape:
        raise ValueError(f"scores {scores.shape} and relevant {relevant.shape} differ in shape")
    if not 1 <= k <= scores.shape[1]:
        raise ValueError(f"k is {k}; the gallery has {scores.shape[1]} images")
    if not relevant.any(axis=1).all():
        raise ValueError("a query has no relevant image")
    order = np.argsort(-scores, axis=1, kind="stable")
    ranked: Relevance = np.take_along_axis(relevant, order, axis=1)
    return ranked
