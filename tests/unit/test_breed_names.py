"""Names of breeds in a query: what is corrected, and what must be left alone."""

import pytest
from open_clip.tokenizer import SimpleTokenizer

from petsearch.domain.prompts import OXFORD_LABELS
from petsearch.sample.kinds import KINDS
from petsearch.search.breed_names import SYNONYMS, correct

KNOWN = (*(label.breed for label in OXFORD_LABELS), *(kind.name for kind in KINDS.values()))


@pytest.mark.parametrize(
    ("given", "searched"),
    [
        ("german shepard", "german shepherd"),
        ("yorkie", "yorkshire terrier"),
        ("two yorkies", "two yorkshire terriers"),
        ("moggy", "cat"),
        ("golden retreiver on grass", "golden retriever on grass"),
        ("Siamease cat", "siamese cat"),
        ("lost Abysinian, near the station", "lost abyssinian, near the station"),
        ("main coon", "maine coon"),
        ("chiwawa", "chihuahua"),
        ("dalmation puppy", "dalmatian puppy"),
        ("persion", "persian"),
        ("st bernard", "saint bernard"),
    ],
)
def test_a_name_that_is_meant_is_written_as_the_model_knows_it(given: str, searched: str) -> None:
    assert correct(given, KNOWN) == searched


@pytest.mark.parametrize(
    "text",
    [
        "pug lying on a rug",
        "Persian cat",
        "three beagles",
        "a cat in boxes",
        "red sports car",
        "an eagle over a beach",
        "German  Shepherd",
        "кошка 🐈 猫",
        "",
        "q" * 900,
    ],
)
def test_other_texts_are_left_alone(text: str) -> None:
    assert correct(text, KNOWN) == text


def test_hardly_any_word_of_the_language_is_taken_for_a_misspelt_breed() -> None:
    tokens = SimpleTokenizer().encoder
    words = {token.removesuffix("</w>") for token in tokens if token.endswith("</w>")}
    words = {word for word in words if word.isascii() and word.isalpha()}
    taken = {
        word
        for word in words - SYNONYMS.keys() - {f"{name}s" for name in SYNONYMS}
        if correct(word, KNOWN) != word
    }
    assert len(words) > 30_000
    # A sphinx is a sphynx, and the rest is worth a second look.
    assert taken <= {"bengali", "sphinx", "tably"}


def test_a_correction_is_corrected_no_further() -> None:
    for name in SYNONYMS.values():
        assert correct(name, KNOWN) == name
