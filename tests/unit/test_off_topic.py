"""How well a line tells texts apart: by kind, and with a lower bound."""

import numpy as np
import pytest

from petsearch.calibration.off_topic import BestScores, measure_off_topic
from petsearch.domain.calibration import OffTopic

LINE = OffTopic(score_weight=0.0, z_weight=1.0, below=2.0)


def standing_out(*z: float) -> BestScores:
    return BestScores(np.zeros(len(z)), np.array(z))


def test_each_kind_is_measured_against_all_of_the_other_side() -> None:
    names, sentences = standing_out(*np.linspace(4, 6, 50)), standing_out(*np.linspace(1, 6, 50))
    away = standing_out(*np.linspace(0, 3, 60))
    rows = measure_off_topic(LINE, {"names": names, "sentences": sentences}, {"things": away})
    every, easy, hard, things = rows
    assert [row.kind for row in rows] == ["all", "names", "sentences", "things"]
    assert [row.is_about_pets for row in rows] == [None, True, True, False]
    assert (every.figures.about_pets, every.figures.about_else) == (100, 60)
    assert (easy.figures.area, easy.figures.flagged, easy.figures.flagged_from) == (1.0, 1.0, 1.0)
    assert hard.figures.area < every.figures.area < 1.0
    assert things.figures.flagged == every.figures.flagged
    assert hard.flagged_as_served == pytest.approx(0.2)
    assert things.flagged_as_served == every.flagged_as_served == pytest.approx(40 / 60)


def test_the_bound_is_below_the_share_and_the_same_each_time() -> None:
    rng = np.random.default_rng(0)
    sides = standing_out(*rng.normal(5, 1, 60)), standing_out(*rng.normal(2, 1, 60))
    first, again = (measure_off_topic(LINE, {"a": sides[0]}, {"b": sides[1]}) for _ in range(2))
    assert first == again
    assert 0.3 < first[0].figures.flagged_from < first[0].figures.flagged < 1.0
