"""What is read from folders and data sets, and what is said when it cannot be."""

import os
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import datasets
import pyarrow.parquet
import pytest

from petsearch.client import from_dataset, from_drawings, from_paths
from petsearch.domain import LeftOutReason
from petsearch.domain.errors import ConfigurationError, InvalidInput, NotFound
from petsearch.sources import DatasetOptions
from tests import pictures

LIMIT = 10_000_000
NOBODY = 65534


@contextmanager
def without_rights_of_root() -> Iterator[None]:
    """Root may read every folder, whatever its mode."""
    user = os.geteuid()
    if user == 0:
        os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(user)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Photos, one of them in a folder below, and files that are none."""
    (tmp_path / "deep").mkdir()
    for name in ("b.JPG", "a.jpeg", "deep/c.png"):
        (tmp_path / name).write_bytes(name.encode())
    for name in ("notes.txt", ".hidden.jpg", "deep/.DS_Store"):
        (tmp_path / name).write_bytes(b"no photo")
    return tmp_path


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data set folder as `datasets` writes one: two labelled photos of a train split."""
    folder = tmp_path_factory.mktemp("dataset")
    features = datasets.Features(
        {
            "image": datasets.Image(),
            "label": datasets.ClassLabel(names=["Maine_Coon", "pug"]),
            "image_id": datasets.Value("string"),
            "note": datasets.Value("string"),
        }
    )
    rows = {
        "image": [{"bytes": pictures.jpeg(seed), "path": None} for seed in range(3)],
        "label": [0, 1, 0],
        "image_id": ["one", "two", "three"],
        "note": ["shy", "bold", "shy"],
    }
    (folder / "data").mkdir()
    datasets.Dataset.from_dict(rows, features=features).to_parquet(
        folder / "data/train-00000-of-00001.parquet"
    )
    return folder


@pytest.fixture
def hub_is_away(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The hub's address is a port where nobody listens."""
    from huggingface_hub import constants

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{taken.getsockname()[1]}"
        monkeypatch.setattr(constants, "ENDPOINT", address)
        yield


def test_a_folder_is_walked_whole_and_in_order(folder: Path) -> None:
    source = from_paths([folder], max_bytes=LIMIT)
    assert [photo.filename for photo in source.photos] == ["a.jpeg", "b.JPG", "c.png"]
    assert (source.count, len(source.left_out)) == (3, 3)


def test_a_file_that_is_named_is_taken_whatever_it_is_called(folder: Path) -> None:
    source = from_paths([folder / "notes.txt"], max_bytes=LIMIT)
    assert [photo.data for photo in source.photos] == [b"no photo"]


def test_no_pipe_is_waited_for(folder: Path) -> None:
    for name in ("pipe.jpg", "pipe", "b.JPG.json"):
        os.mkfifo(folder / name)
    source = from_paths([folder, folder / "pipe.jpg"], max_bytes=LIMIT)
    assert [photo.filename for photo in source.photos] == ["a.jpeg", "b.JPG", "c.png"]
    special = [left.name for left in source.left_out if left.reason is LeftOutReason.SPECIAL]
    assert sorted(special) == ["pipe", "pipe.jpg"]
    assert source.unreadable == [("pipe.jpg", "It cannot be read: Not a regular file.")]
    assert [photo for photo, _ in source.warnings] == ["b.JPG"]


def test_folders_that_may_not_be_read_are_named() -> None:
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        modes = {".": 0o755, "open": 0o755, "closed": 0o000, "listed": 0o444, "listed/deep": 0o755}
        for folder in modes:
            (root / folder).mkdir(exist_ok=True)
            (root / folder / "1.jpg").write_bytes(b"photo")
            (root / folder / "1.jpg").chmod(0o644)
        for folder in reversed(modes):
            (root / folder).chmod(modes[folder])
        try:
            with without_rights_of_root():
                source = from_paths([root, root / "closed"], max_bytes=LIMIT)
                read = [photo.metadata["source_path"] for photo in source.photos]
        finally:
            (root / "closed").chmod(0o755)
            (root / "listed").chmod(0o755)
        told = ["closed", "listed/deep", str(root / "closed"), "listed/1.jpg"]
        assert source.unreadable == [
            (place, "It cannot be read: Permission denied.") for place in told
        ]
        assert read == ["1.jpg", "open/1.jpg"]


def test_files_of_one_name_that_cannot_be_read_are_all_named(tmp_path: Path) -> None:
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "1.jpg").symlink_to("nowhere.jpg")
    source = from_paths([tmp_path], max_bytes=LIMIT)
    assert list(source.photos) == []
    assert [place for place, _ in source.unreadable] == ["a/1.jpg", "b/1.jpg"]


def test_a_huge_file_is_not_read_whole(tmp_path: Path) -> None:
    huge = tmp_path / "huge.jpg"
    with huge.open("wb") as file:
        file.truncate(10**12)
    (photo,) = from_paths([huge], max_bytes=1000).photos
    assert len(photo.data) == 1001, "one byte too many, so that it is refused by name"


def test_a_path_that_does_not_exist_is_said(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="nowhere"):
        from_paths([tmp_path / "nowhere"], max_bytes=LIMIT)


def test_a_label_becomes_the_breed_and_the_id_the_name(dataset: Path) -> None:
    source = from_dataset(str(dataset), DatasetOptions())
    photos = list(source.photos)
    assert [(p.filename, p.metadata) for p in photos] == [
        ("one", {"breed": "Maine_Coon"}),
        ("two", {"breed": "pug"}),
        ("three", {"breed": "Maine_Coon"}),
    ]
    assert [p.data for p in photos] == [pictures.jpeg(seed) for seed in range(3)]


def test_any_column_can_be_the_breed(dataset: Path) -> None:
    photos = from_dataset(str(dataset), DatasetOptions(label_column="note")).photos
    assert next(photos).metadata == {"breed": "shy"}


def test_without_labels_nothing_is_said(dataset: Path) -> None:
    photos = from_dataset(str(dataset), DatasetOptions(label_column=None)).photos
    assert [photo.metadata for photo in photos] == [{}, {}, {}]


def test_a_row_whose_photo_is_not_there_costs_no_other(dataset: Path, tmp_path: Path) -> None:
    rows = pyarrow.parquet.read_table(next(dataset.glob("data/*.parquet")))
    photos = rows["image"].to_pylist()
    photos[0] = {"bytes": None, "path": "/nowhere/else.jpg"}
    photos[1] = {"bytes": None, "path": str(tmp_path / "gone.jpg")}
    column = pyarrow.array(photos, rows.schema.field("image").type)
    table = rows.set_column(0, rows.schema.field("image"), column)
    pyarrow.parquet.write_table(table, tmp_path / "train.parquet")
    source = from_dataset(str(tmp_path), DatasetOptions())
    assert [photo.filename for photo in source.photos] == ["three"]
    (outside, gone) = source.unreadable
    assert outside[0] == "one"
    assert "outside its folder" in outside[1]
    assert gone == ("two", "It cannot be read: No such file or directory.")


def test_a_limit_stops_early(dataset: Path) -> None:
    source = from_dataset(str(dataset), DatasetOptions(limit=2))
    assert len(list(source.photos)) == 2


def test_an_absent_column_is_said_with_those_there_are(dataset: Path) -> None:
    with pytest.raises(InvalidInput, match=r"no column 'breed'.*image_id"):
        from_dataset(str(dataset), DatasetOptions(label_column="breed"))


def test_an_absent_split_is_said(dataset: Path) -> None:
    with pytest.raises(InvalidInput, match="split test"):
        from_dataset(str(dataset), DatasetOptions(split="test"))


@pytest.mark.parametrize("name", ["./nowhere", "/nowhere/at/all", "a/b/c"])
def test_a_folder_that_does_not_exist_is_not_looked_for_on_the_hub(name: str) -> None:
    with pytest.raises(NotFound, match="no folder"):
        from_dataset(name, DatasetOptions())


@pytest.mark.usefixtures("hub_is_away")
def test_a_hub_that_does_not_answer_is_said() -> None:
    with pytest.raises(ConfigurationError, match="hub does not answer"):
        from_dataset("someone/pets", DatasetOptions())


def test_drawings_say_what_they_show() -> None:
    source = from_drawings(3)
    photos = list(source.photos)
    assert source.count == len(photos) == len({photo.filename for photo in photos})
    assert all(photo.metadata["tags"] == ["drawing"] for photo in photos)
    assert all(photo.data.startswith(b"\xff\xd8") for photo in photos)
