"""Queries in other languages than a model knows."""

from dataclasses import replace

import pytest

from petsearch.domain import Label
from petsearch.search.language import is_beyond
from petsearch.search.query import ImagePart, Query, TextPart, Weighted
from tests.contract.tiny_clip import TinyClip

MODEL = replace(TinyClip().info, labels=(Label("löwchen", "dog"), Label("pug", "dog")))


def _asked(*texts: str) -> Query:
    parts = [Weighted(TextPart(text)) for text in texts]
    return Query((*parts, Weighted(ImagePart("a"))))


@pytest.mark.parametrize(
    "text",
    [
        "schwarzer Hund",
        "un perro",
        "chat noir et blanche",
        "黒い猫",
        "рыжий кот",
        "قطة",
        "Kätzchen.",
    ],
)
def test_other_languages_are_noticed_where_the_model_knows_english_only(text: str) -> None:
    assert is_beyond(_asked("cat", text), MODEL)
    assert not is_beyond(_asked("cat", text), replace(MODEL, is_english_only=False))


@pytest.mark.parametrize(
    "text",
    ["a small black dog", "a Löwchen!", "cane corso, 3 years", "pug & cat 🐈", "my cat's bed"],
)
def test_english_and_the_models_own_breeds_are_not(text: str) -> None:
    assert not is_beyond(_asked(text), MODEL)
    assert not is_beyond(_asked(), MODEL)
