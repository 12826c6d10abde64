"""Names of files as they come from cameras, systems and other languages."""

import os
from pathlib import Path

import pytest

from petsearch.client import from_paths
from petsearch.domain.errors import InvalidInput
from petsearch.domain.metadata import parse_metadata, safe_filename, safe_path
from petsearch.domain.visible_text import MOST_COMPOSED
from petsearch.sources.names import other_forms
from petsearch.tables.table import clean


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("folder/cat.jpg", "cat.jpg"),
        ("C:\\photos\\cat.jpg", "cat.jpg"),
        ("Ka\u0308tzchen.jpg", "K\u00e4tzchen.jpg"),
        ("family \U0001f468\u200d\U0001f469\u200d\U0001f467.jpg",) * 2,
        ("\u2764\ufe0f.jpg",) * 2,
        # macOS writes a narrow space before AM and PM.
        ("Screenshot 2026-05-17 at 9.41.00\u202fAM.png",) * 2,
        ("a\u202egpj.exe", "agpj.exe"),
        ("a\tb\n.jpg", "ab.jpg"),
        (os.fsdecode(b"K\xe4tzchen.jpg"), "K\ufffdtzchen.jpg"),
    ],
)
def test_names_are_kept_as_people_read_them(given: str, kept: str) -> None:
    assert safe_filename(given) == kept


def test_a_long_name_keeps_its_suffix() -> None:
    name = safe_filename("x" * 300 + ".jpeg")
    assert len(name) == 200
    assert name.endswith("x\u2026.jpeg")
    assert len(safe_filename("y" * 300)) == 200


def test_a_path_is_as_long_as_it_is_stored() -> None:
    # NFC keeps this letter in two parts.
    path = "\u0958" * 512
    assert len(parse_metadata({"source_path": path}, "a.jpg").source_path) == 1024
    with pytest.raises(InvalidInput, match="source_path: must have at most 1024 characters"):
        parse_metadata({"source_path": f"{path}x"}, "a.jpg")


def test_what_is_far_from_what_is_kept_is_not_composed() -> None:
    # The second mark goes before the first: putting them in order takes a time of their square.
    marks = "\u0301" * 5000 + "\u0316" * 5000
    assert safe_filename(f"a{marks}.jpg") == "\u00e1" + "\u0301" * 194 + "\u2026.jpg"
    assert safe_path(f"folder/{marks}") == "\u0316" * MOST_COMPOSED
    assert safe_path("\u00e4/" * 5000) == "\u00e4/" * (MOST_COMPOSED // 2)
    assert other_forms(marks) == []
    assert clean(f"a{marks}") == f"a{marks}"


def test_a_folder_with_odd_names_goes_in_whole(tmp_path: Path) -> None:
    for name in (b"K\xe4tzchen.jpg", b"z" * 240 + b".jpg", b"plain.jpg"):
        (tmp_path / os.fsdecode(name)).write_bytes(b"photo")
    (tmp_path / "gone.jpg").symlink_to("nowhere.jpg")
    source = from_paths([tmp_path], max_bytes=100)
    names = [photo.filename for photo in source.photos]
    assert names[0] == "K\ufffdtzchen.jpg"
    assert names[1] == "plain.jpg"
    assert len(names) == 3
    assert len(names[2]) == 200
    ((place, reason),) = source.unreadable
    assert place == "gone.jpg"
    assert "No such file" in reason
