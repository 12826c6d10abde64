"""Names in a query are put into the singular, as templates and models know them."""

import pytest

from petsearch.domain import Label
from petsearch.domain.prompts import OXFORD_LABELS, with_singular_names

LABELS = (*OXFORD_LABELS, Label("husky", "dog"), Label("golden retriever", "dog"))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Pugs for adoption", "Pug for adoption"),
        ("cats on a sofa", "cat on a sofa"),
        ("huskies", "husky"),
        ("golden retrievers on grass", "golden retriever on grass"),
        ("russian blues", "russian blue"),
        ("great pyrenees", "great pyrenees"),  # is no plural
        ("glasses on a bus", "glasses on a bus"),
        ("", ""),
    ],
)
def test_names_of_breeds_and_species_become_singular(text: str, expected: str) -> None:
    assert with_singular_names(text, LABELS) == expected
