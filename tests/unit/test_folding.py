"""Words as they are compared: equal for what people take for equal, and stable."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from petsearch.domain import fold, fold_attribute
from petsearch.domain.places import names_place
from petsearch.domain.visible_text import is_blank, visible_text

_AWKWARD = (
    "aA\u00df\u1e9e\u017f\u0130\u0131\u03a3\u03c2\u01f0\u0149\u1fb4\ufb01\u00c5\u212b"  # case
    "\u0345\u0301\u0327\uac00\uac01\u1100"  # composition
    " \t\u00a0\u200b\u200d\u2060\ufe0f\u3164="
)
TEXTS = st.text(st.one_of(st.characters(), st.sampled_from(_AWKWARD)), max_size=12)


@given(TEXTS)
def test_folding_twice_is_folding_once(text: str) -> None:
    once = fold(text)
    assert fold(once) == once
    assert fold_attribute(fold_attribute(text)) == fold_attribute(text)


@given(TEXTS, st.sampled_from(["NFC", "NFD"]), st.text(" \t\u00a0", max_size=2))
def test_case_composition_and_spaces_around_make_no_difference(
    text: str, form: "unicodedata._NormalizationForm", spaces: str
) -> None:
    assert fold(spaces + unicodedata.normalize(form, text) + spaces) == fold(text)
    assert fold(text.casefold()) == fold(text)


@given(TEXTS)
def test_blank_is_where_nothing_is_to_be_seen(text: str) -> None:
    assert is_blank(text) == (not visible_text(text))


@pytest.mark.parametrize("unseen", ["\x7f", "\u200b", " "])
def test_what_is_longer_than_any_text_is_left_to_its_limit(unseen: str) -> None:
    assert is_blank(unseen * 10_000)
    assert not is_blank(unseen * 10_001)


@given(TEXTS, TEXTS)
def test_names_and_values_of_attributes_are_folded_each_by_itself(name: str, value: str) -> None:
    name = name.replace("=", "")
    if not names_place(name):
        assert fold_attribute(f"{name}={value}") == f"{fold(name)}={fold(value)}"


@pytest.mark.parametrize(
    ("written", "folded"),
    [
        ("  Very \t SHY ", "very shy"),
        ("Straße", "strasse"),
        ("Cafe\u0301", "caf\u00e9"),
        ("\u03a3\u03a6\u03a3", "\u03c3\u03c6\u03c3"),
        ("\u200eshy\u200b", "shy"),
        ("very_shy", "very_shy"),
        ("", ""),
    ],
)
def test_a_word_is_folded(written: str, folded: str) -> None:
    assert fold(written) == folded


_NAMES = (
    "zip",
    "zIP",
    "z\u200bip",
    "Zip",
    "foundZip",
    "foundzip",
    "found zip",
    "Collar",
    "latWhere",
)


@pytest.mark.parametrize("one", _NAMES)
@pytest.mark.parametrize("other", _NAMES)
def test_equal_names_all_say_a_place_or_none_does(one: str, other: str) -> None:
    if fold_attribute(f"{one}=1") == fold_attribute(f"{other}=1"):
        assert names_place(one) == names_place(other)


def test_a_name_is_equal_in_another_case_unless_that_hides_its_place() -> None:
    assert fold_attribute("zIP=A") == "zip=a"
    assert fold_attribute("foundZip=A") == "foundZip=a"
    assert fold_attribute("foundzip=A") == "foundzip=a"
