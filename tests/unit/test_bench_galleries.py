"""What the benchmarks of search are built on: embeddings as they should lie, records, judging."""

import numpy as np

from bench.ann import recall
from bench.galleries import around_centres, image_id, jittered, lifted, normalised, record
from bench.rankings import average_precision, precision_at_5


def test_a_lift_keeps_every_cosine() -> None:
    rows = normalised(np.random.default_rng(0).standard_normal((20, 8)))
    found = lifted(rows, 32)
    assert found.shape == (20, 32)
    np.testing.assert_allclose(found @ found.T, rows @ rows.T, atol=1e-5)


def test_jitter_moves_a_row_as_far_as_asked() -> None:
    rows = normalised(np.random.default_rng(0).standard_normal((500, 256)))
    moved = jittered(rows, 0.3, np.random.default_rng(1))
    cosines = (rows * moved).sum(axis=1)
    assert abs(cosines.mean() - 1 / np.sqrt(1.09)) < 0.01
    np.testing.assert_allclose(np.linalg.norm(moved, axis=1), 1, rtol=1e-5)


def test_rows_of_one_breed_lie_together() -> None:
    rows = around_centres(74 * 5)
    same, other = rows[0] @ rows[37], rows[0] @ rows[38]
    assert same > 0.5 > other + 0.3


def test_records_differ_and_are_the_same_each_time() -> None:
    assert record(3, "m") == record(3, "m")
    assert len({image_id(number) for number in range(100)}) == 100


def test_a_row_that_ties_with_the_last_one_wanted_counts() -> None:
    scores = np.array([0.9, 0.8, 0.8, *np.linspace(0.7, 0.1, 10)], np.float32)
    everything = np.ones(13, bool)
    assert recall(scores, everything, list(range(10))) == 1.0
    assert recall(scores, everything, [*range(9), 12]) == 0.9


def test_a_row_that_the_filter_drops_does_not_count() -> None:
    scores = np.array([0.9, 0.8, 0.7], np.float32)
    assert recall(scores, np.array([False, True, True]), [0, 1]) == 0.5


def test_average_precision_counts_what_was_not_ranked() -> None:
    hits = [{"filename": f"{name}_1.jpg"} for name in ("pug", "boxer", "pug", "boxer", "boxer")]
    assert precision_at_5(hits, "pug") == 0.4
    assert average_precision(hits, "pug", 4) == (1 + 2 / 3) / 4
