"""Texts that measure off-topic detection are many, and nothing is fitted or trained on them."""

import pytest

from petsearch.calibration.fitting import phrases_about, texts_about_else
from petsearch.calibration.held_out_texts import read_held_out_texts
from petsearch.domain.prompts import OXFORD_LABELS
from petsearch.sample.kinds import KINDS
from petsearch.sample.queries import ATTRIBUTE_QUERIES
from training.calibration.calibrate import random_texts
from training.drawings.config import SAMPLE_CONFIG, read_config

DATA = read_config(SAMPLE_CONFIG).data
BREEDS = {"the bundled model": [*KINDS], "Oxford": [label.breed for label in OXFORD_LABELS]}


@pytest.mark.parametrize("breeds", BREEDS.values(), ids=BREEDS)
def test_each_side_has_a_hundred_texts(breeds: list[str]) -> None:
    texts = read_held_out_texts()
    about_pets = texts.about(breeds)
    assert len(about_pets["breed names"]) == 2 * len(breeds)
    assert sum(map(len, about_pets.values())) >= 100
    assert sum(map(len, texts.about_else.values())) >= 100


def test_each_text_is_there_once() -> None:
    texts = read_held_out_texts().all
    assert len({text.casefold() for text in texts}) == len(texts)


@pytest.mark.parametrize("breeds", BREEDS.values(), ids=BREEDS)
def test_nothing_is_fitted_on_them(breeds: list[str]) -> None:
    about_else = {*texts_about_else(), *random_texts(DATA), *DATA.off_topic}
    fitted = {*phrases_about(breeds), *about_else, *(query.words for query in ATTRIBUTE_QUERIES)}
    held_out = {text.casefold() for text in read_held_out_texts().all}
    assert held_out.isdisjoint(text.casefold() for text in fitted)
