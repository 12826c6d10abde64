"""How embeddings of a query's parts become one."""

import numpy as np
import pytest

from petsearch.domain.errors import InvalidInput
from petsearch.search.combination import combine
from tests.contract.records import embedding

RIGHT, UP = embedding(0.0), embedding(np.pi / 2)


def test_the_sum_lies_between_its_parts_and_has_length_one() -> None:
    both = combine([(RIGHT, 1.0), (UP, 1.0)])
    assert both.dtype == np.float32
    assert np.allclose(both, embedding(np.pi / 4), atol=1e-6)


def test_a_heavier_part_draws_nearer() -> None:
    mostly_up = combine([(RIGHT, 1.0), (UP, 3.0)])
    assert mostly_up @ UP > mostly_up @ RIGHT > 0


def test_a_negative_part_pushes_away() -> None:
    away = combine([(RIGHT, 1.0)], [(UP, 0.3)])
    assert away @ RIGHT > 0.9
    assert away @ UP < 0


def test_parts_that_cancel_out_are_refused() -> None:
    with pytest.raises(InvalidInput, match="cancel"):
        combine([(RIGHT, 1.0)], [(RIGHT, 1.0)])


def test_parts_that_cancel_out_but_for_rounding_are_refused() -> None:
    with pytest.raises(InvalidInput, match="cancel"):
        combine([(RIGHT, 1.0)], [(embedding(1e-4), 1.0)])


def test_only_the_proportion_of_weights_counts() -> None:
    small = combine([(RIGHT, 1e-6), (UP, 3e-6)])
    assert np.allclose(small, combine([(RIGHT, 10.0), (UP, 30.0)]), atol=1e-6)
