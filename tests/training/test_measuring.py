"""What is measured on embeddings equals plain-Python twins on random cases, ties among them."""

import numpy as np
import pytest

from training.evaluation.measurement import DEPTHS, photo_values, text_values

_CASES = range(15)


def _case(seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    # Few distinct directions, so that many photos have equal scores.
    directions = rng.standard_normal((5, 4)).astype(np.float32)
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    labels = np.concatenate([np.arange(4), rng.integers(0, 4, 20), [4]])
    return directions[rng.integers(0, 5, len(labels))], labels


def _average_precision(ranked: list[bool]) -> float:
    found = [sum(ranked[: rank + 1]) / (rank + 1) for rank, hit in enumerate(ranked) if hit]
    return sum(found) / len(found)


@pytest.mark.parametrize("seed", _CASES)
def test_a_photo_query_ranks_all_photos_but_itself(seed: int) -> None:
    embeddings, labels = _case(seed)
    values = photo_values(embeddings, labels)
    scores = embeddings @ embeddings.T
    number = 0
    for query, label in enumerate(labels.tolist()):
        others = [index for index in range(len(labels)) if index != query]
        if not any(labels[index] == label for index in others):
            continue
        order = sorted(others, key=lambda index: (-scores[query, index], index))
        ranked = [bool(labels[index] == label) for index in order]
        for k in DEPTHS:
            assert values.precision_at[k][number] == pytest.approx(sum(ranked[:k]) / k)
        assert values.average_precision[number] == pytest.approx(_average_precision(ranked))
        number += 1
    assert number == len(values.average_precision)


@pytest.mark.parametrize("seed", _CASES)
def test_a_text_query_ranks_all_photos(seed: int) -> None:
    rng = np.random.default_rng(seed)
    labels = np.concatenate([np.arange(4), rng.integers(0, 4, 16)])
    scores = rng.integers(0, 5, (20, 4)) / 4
    values = text_values(scores, labels)
    for query in range(4):
        order = sorted(range(20), key=lambda index: (-scores[index, query], index))
        ranked = [bool(labels[index] == query) for index in order]
        for k in DEPTHS:
            assert values.precision_at[k][query] == pytest.approx(sum(ranked[:k]) / k)
            assert values.recall_at[k][query] == any(ranked[:k])
        assert values.average_precision[query] == pytest.approx(_average_precision(ranked))


def test_depths_end_where_the_gallery_does() -> None:
    values = photo_values(np.eye(4, dtype=np.float32), np.array([0, 0, 1, 1]))
    assert list(values.precision_at) == [1]
    assert list(text_values(np.zeros((6, 2)), np.array([0, 1] * 3)).precision_at) == [1, 5]
