"""The numpy metrics equal plain-Python twins on random cases."""

from collections.abc import Sequence

import numpy as np
import pytest

from petsearch.calibration.off_topic import auc
from training.evaluation.metrics import (
    confusion_matrix,
    mean_average_precision,
    mean_per_class_recall,
    precision_at_k,
    recall_at_k,
    retrieval_values,
    zero_shot_top1,
)

_CASES = range(25)


def _case(seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    queries, gallery = int(rng.integers(1, 7)), int(rng.integers(5, 30))
    # Few distinct scores, so that ties are common.
    scores = rng.integers(0, 6, (queries, gallery)) / 5
    relevant = rng.random((queries, gallery)) < 0.3
    relevant[:, int(rng.integers(0, gallery))] = True
    return scores, relevant


def _ranked(scores: Sequence[float], relevant: Sequence[bool]) -> list[bool]:
    order = sorted(range(len(scores)), key=lambda index: (-scores[index], index))
    return [bool(relevant[index]) for index in order]


def _average_precision(ranked: Sequence[bool]) -> float:
    found, total = 0, 0.0
    for rank, hit in enumerate(ranked, start=1):
        if hit:
            found += 1
            total += found / rank
    return total / found


@pytest.mark.parametrize("seed", _CASES)
def test_retrieval_metrics_equal_their_plain_twins(seed: int) -> None:
    scores, relevant = _case(seed)
    rows = [_ranked(list(s), list(r)) for s, r in zip(scores, relevant, strict=True)]
    for k in (1, 3, 5):
        precision = sum(sum(row[:k]) / k for row in rows) / len(rows)
        recall = sum(any(row[:k]) for row in rows) / len(rows)
        assert precision_at_k(scores, relevant, k) == pytest.approx(precision)
        assert recall_at_k(scores, relevant, k) == pytest.approx(recall)
    mean = sum(_average_precision(row) for row in rows) / len(rows)
    assert mean_average_precision(scores, relevant) == pytest.approx(mean)


@pytest.mark.parametrize("seed", _CASES)
def test_auc_equals_counting_pairs(seed: int) -> None:
    rng = np.random.default_rng(seed)
    positive, negative = rng.integers(0, 5, 9) / 4, rng.integers(0, 4, 7) / 4
    wins = sum((p > n) + 0.5 * (p == n) for p in positive for n in negative)
    assert auc(positive, negative) == pytest.approx(wins / 63)


@pytest.mark.parametrize("seed", _CASES)
def test_top1_equals_counting_best_classes(seed: int) -> None:
    rng = np.random.default_rng(seed)
    scores, labels = rng.random((12, 4)), rng.integers(0, 4, 12)
    right = sum(
        max(range(4), key=lambda c: row[c]) == label
        for row, label in zip(scores.tolist(), labels.tolist(), strict=True)
    )
    assert zero_shot_top1(scores, labels) == pytest.approx(right / 12)


def test_a_perfect_ranking_scores_one_and_the_reverse_less() -> None:
    scores, relevant = np.array([[0.9, 0.8, 0.1]]), np.array([[True, True, False]])
    assert mean_average_precision(scores, relevant) == 1.0
    assert mean_average_precision(-scores, relevant) == pytest.approx((1 / 2 + 2 / 3) / 2)


@pytest.mark.parametrize(
    ("relevant", "k", "complaint"),
    [
        (np.zeros((1, 3), bool), 1, "no relevant image"),
        (np.ones((1, 3), bool), 4, "the gallery has 3"),
        (np.ones((1, 3), bool), 0, "the gallery has 3"),
        (np.ones((1, 2), bool), 1, "differ in shape"),
    ],
)
def test_a_meaningless_question_is_refused(relevant: np.ndarray, k: int, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        precision_at_k(np.zeros((1, 3)), relevant, k)


def test_auc_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one"):
        auc(np.array([]), np.array([1.0]))


@pytest.mark.parametrize("seed", _CASES)
def test_values_of_each_query_equal_their_plain_twins(seed: int) -> None:
    scores, relevant = _case(seed)
    values = retrieval_values(scores, relevant, (1, 5))
    for number, (row, held) in enumerate(zip(scores, relevant, strict=True)):
        ranked = _ranked(list(row), list(held))
        for k in (1, 5):
            assert values.precision_at[k][number] == pytest.approx(sum(ranked[:k]) / k)
            assert values.recall_at[k][number] == any(ranked[:k])
        assert values.average_precision[number] == pytest.approx(_average_precision(ranked))


@pytest.mark.parametrize("seed", _CASES)
def test_confusions_and_recall_of_classes_equal_counting(seed: int) -> None:
    rng = np.random.default_rng(seed)
    # Some classes do not occur: they have no recall.
    labels, predicted = rng.integers(0, 6, 17), rng.integers(0, 6, 17)
    pairs = list(zip(labels.tolist(), predicted.tolist(), strict=True))
    counted = [[pairs.count((row, column)) for column in range(6)] for row in range(6)]
    assert confusion_matrix(labels, predicted, 6).tolist() == counted
    recalls = [row[place] / sum(row) for place, row in enumerate(counted) if sum(row)]
    measured = mean_per_class_recall(labels == predicted, labels)
    assert measured == pytest.approx(sum(recalls) / len(recalls))
