"""Rows of a table are joined to photos by the names of their files."""

import unicodedata
from pathlib import Path

import pytest

from petsearch.client import Photo, PhotoSource, from_paths, join_table
from petsearch.domain import LeftOutReason
from petsearch.domain.errors import InvalidInput
from tests import pictures


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for number, name in enumerate(("A-17/1.jpg", "A-18/1.jpg", "Rex.JPG", "Zoë.jpg")):
        path = tmp_path / "pets" / unicodedata.normalize("NFD", name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(pictures.jpeg(number))
    return tmp_path / "pets"


def join(folder: Path, table: str, **columns: str | None) -> tuple[PhotoSource, dict[str, Photo]]:
    """The source after all photos were taken, and these by their paths."""
    path = folder.parent / "pets.csv"
    path.write_text(table, encoding="utf-8")
    source = join_table(from_paths([folder], max_bytes=10**6), path, columns)
    return source, {photo.metadata["source_path"]: photo for photo in source.photos}


def test_rows_are_joined_by_path_or_by_the_only_such_name(folder: Path) -> None:
    table = (
        "Photo;Animal ID;Status;Tags\n"
        "A-17\\1.jpg;D-17;lost;shy\n"
        "./A-18/1.JPG;D-18;found;\n"
        "rex.jpg;D-19;;old, deaf\n"
        "Zo\u00eb.jpg;D-20;;\n"
    )
    source, photos = join(folder, table)
    said = {path: photo.metadata for path, photo in photos.items()}
    assert {path: of["animal_id"] for path, of in said.items()} == {
        "A-17/1.jpg": "D-17",
        "A-18/1.jpg": "D-18",
        "Rex.JPG": "D-19",
        "Zo\u00eb.jpg": "D-20",
    }
    assert said["A-17/1.jpg"]["status"] == "lost"
    assert said["Rex.JPG"]["tags"] == ["old", "deaf"]
    assert said["A-17/1.jpg"]["filename"] == "1.jpg"
    assert source.warnings == []


def test_what_does_not_match_is_warned_of(folder: Path) -> None:
    table = "file,animal_id\n1.jpg,D-1\ngone.jpg,D-2\nrex.jpg,D-3\n"
    source, photos = join(folder, table, file="path")
    assert "animal_id" not in photos["A-17/1.jpg"].metadata
    assert photos["Rex.JPG"].metadata["animal_id"] == "D-3"
    told = dict(source.warnings)
    assert told["1.jpg"] == "The table's row could be of 2 photos."
    assert told["gone.jpg"] == "The table has a row for it, but there is no such photo."
    assert told["Zo\u00eb.jpg"] == "The table has no row for it."


def test_a_cell_that_does_not_fit_and_unknown_columns_are_told(folder: Path) -> None:
    source, photos = join(folder, "path,lat,lon,mood\nRex.JPG,north,13.4,good\n")
    assert "location" not in photos["Rex.JPG"].metadata
    assert any(name == "Rex.JPG" and "Row 2" in detail for name, detail in source.warnings)
    unknown = [entry.name for entry in source.left_out if entry.reason == LeftOutReason.COLUMN]
    assert unknown == ["mood"]


def test_rows_that_name_no_photo_are_left_out(folder: Path) -> None:
    source, photos = join(folder, "photo;animal id\nRex.JPG;D-1\n;D-2\n-;D-3\n")
    assert photos["Rex.JPG"].metadata["animal_id"] == "D-1"
    rows = [entry.name for entry in source.left_out if entry.reason == LeftOutReason.ROW]
    assert rows == ["row 3", "row 4"]
    assert not [name for name, _ in source.warnings if name.startswith("row")]


def test_a_table_without_names_of_files_is_refused(folder: Path) -> None:
    with pytest.raises(InvalidInput, match="Columns that can be read"):
        join(folder, "animal_id,status\nD-1,lost\n")
