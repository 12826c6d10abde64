"""Bootstrapped intervals."""

import random

import numpy as np
import pytest

from petsearch.calibration.resampling import Resampling, estimate, estimate_difference, mean_of

RESAMPLING = Resampling(times=400, seed=3)


def test_it_equals_a_plain_twin_on_the_same_draws() -> None:
    values = np.random.default_rng(1).random(40)
    held = values.tolist()
    means = sorted(
        sum(held[index] for index in chosen.tolist()) / 40 for chosen in RESAMPLING.draws(40)
    )
    measured = estimate(mean_of(values), RESAMPLING)
    assert measured.value == pytest.approx(sum(held) / 40)
    # The quantiles of 400 sorted means lie between their neighbours.
    assert means[9] <= measured.low <= means[10]
    assert means[389] <= measured.high <= means[390]


def test_it_covers_the_truth_about_as_often_as_it_says() -> None:
    rng = random.Random(0)
    covered = 0
    for seed in range(200):
        values = np.array([rng.random() < 0.3 for _ in range(120)])
        found = estimate(mean_of(values), Resampling(times=200, seed=seed))
        covered += found.low <= 0.3 <= found.high
    assert 0.88 <= covered / 200 <= 0.99


def test_pairs_tell_a_small_difference_that_two_intervals_do_not() -> None:
    rng = np.random.default_rng(0)
    base = rng.random(300)
    better = base + 0.01 + 0.02 * rng.standard_normal(300)
    one, other = mean_of(better), mean_of(base)
    difference = estimate_difference(one, other, RESAMPLING)
    assert difference.low > 0
    assert estimate(one, RESAMPLING).low < estimate(other, RESAMPLING).high
    assert difference.value == pytest.approx(better.mean() - base.mean())


def test_a_model_against_itself_differs_by_nothing() -> None:
    same = mean_of(np.random.default_rng(0).random(50))
    found = estimate_difference(same, same, RESAMPLING)
    assert (found.low, found.value, found.high) == (0, 0, 0)


def test_the_seed_decides_the_draws() -> None:
    values = mean_of(np.random.default_rng(0).random(50))
    assert estimate(values, RESAMPLING) == estimate(values, RESAMPLING)
    assert estimate(values, RESAMPLING) != estimate(values, Resampling(times=400, seed=4))


def test_what_is_no_pair_is_refused() -> None:
    with pytest.raises(ValueError, match="cannot be paired"):
        estimate_difference(mean_of(np.ones(3)), mean_of(np.ones(4)), RESAMPLING)
