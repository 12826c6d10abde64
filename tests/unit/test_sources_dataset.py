"""Data sets that the server reads itself."""

import json
import os
import socket
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import datasets
import pyarrow as pa
import pytest

from petsearch.domain.errors import InvalidInput
from petsearch.sources import DatasetOptions
from petsearch.sources.dataset import DatasetSource
from petsearch.sources.dataset_folder import check_hub_files
from petsearch.sources.import_folders import ImportFolders
from petsearch.sources.source import SourceItem
from tests import pictures
from tests.hostile_files import tables

COUNT = 7


def written(folder: Path, images: Sequence[Mapping[str, object]], labels: list[int | None]) -> Path:
    features = datasets.Features(
        {
            "image": datasets.Image(),
            "label": datasets.ClassLabel(names=["Maine_Coon", "pug"]),
            "image_id": datasets.Value("string"),
        }
    )
    rows = {"image": images, "label": labels, "image_id": [f"n{i}" for i in range(len(images))]}
    (folder / "data").mkdir(parents=True)
    datasets.Dataset.from_dict(rows, features=features).to_parquet(
        # Without a size it would look at the files that the rows name.
        folder / "data/train-00000-of-00001.parquet",
        batch_size=10,
    )
    return folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Seven photos; the third has no published label."""
    images = [{"bytes": pictures.jpeg(seed), "path": None} for seed in range(COUNT)]
    return written(tmp_path_factory.mktemp("set"), images, [0, 1, -1, 0, 1, 0, 1])


def test_rows_are_items_with_label_and_name(folder: Path) -> None:
    source = DatasetSource(str(folder), DatasetOptions())
    items = list(source.read(None))
    assert [item.metadata.filename for item in items] == [f"n{n}" for n in range(COUNT)]
    assert [item.metadata.breed for item in items][:4] == ["Maine_Coon", "pug", None, "Maine_Coon"]
    assert [item.data for item in items] == [pictures.jpeg(seed) for seed in range(COUNT)]


@pytest.mark.parametrize("limit", [None, 5])
def test_reading_on_from_any_cursor_gives_the_rest(folder: Path, limit: int | None) -> None:
    source = DatasetSource(str(folder), DatasetOptions(limit=limit))
    whole = list(source.read(None))
    assert len(whole) == (limit or COUNT)
    for position, item in enumerate(whole):
        assert list(source.read(item.cursor)) == whole[position + 1 :]


def test_rows_that_cost_no_bytes_are_not_read_for_ever(tmp_path: Path) -> None:
    rows = pa.table({"image": pa.nulls(100_000, tables.IMAGE)})
    (tmp_path / "train.parquet").write_bytes(tables.written(rows, compression="zstd"))
    source = DatasetSource(str(tmp_path), DatasetOptions(label_column=None))
    found: list[SourceItem] = []
    with pytest.raises(InvalidInput, match="its rows have no photos"):
        found.extend(source.read(None))
    assert 0 < len(found) < 500


def test_rows_without_a_photo_are_refused(tmp_path: Path) -> None:
    images = [{"bytes": b"", "path": None}, {"bytes": pictures.jpeg(1), "path": None}]
    folder = written(tmp_path / "data", images, [0, 1])
    first, second = DatasetSource(str(folder), DatasetOptions()).read(None)
    assert (first.refusal, first.data) == ("The row has no photo.", None)
    assert (second.refusal, second.data) == (None, pictures.jpeg(1))


def test_an_absent_column_is_said(folder: Path) -> None:
    with pytest.raises(InvalidInput, match="no column 'breed'"):
        list(DatasetSource(str(folder), DatasetOptions(label_column="breed")).read(None))


def test_a_data_set_cannot_name_files_of_this_machine(tmp_path: Path) -> None:
    inside = tmp_path / "set/photos/1.jpg"
    images: Sequence[Mapping[str, object]] = [
        {"bytes": None, "path": path}
        for path in ("/etc/passwd", "../secret.jpg", "http://169.254.169.254/", str(inside))
    ]
    items = list(
        DatasetSource(str(written(tmp_path / "set", images, [0] * 4)), DatasetOptions()).read(None)
    )
    assert [item.refusal is None for item in items] == [False, False, False, True]
    assert items[3].origin == f"file:{inside}"


def test_a_folder_of_photos_with_metadata_is_a_data_set(tmp_path: Path) -> None:
    (tmp_path / "train").mkdir()
    for seed in range(2):
        (tmp_path / f"train/{seed}.jpg").write_bytes(pictures.jpeg(seed))
    rows = [{"file_name": f"{seed}.jpg", "breed": "pug"} for seed in range(2)]
    (tmp_path / "train/metadata.jsonl").write_text("\n".join(map(json.dumps, rows)))
    items = list(DatasetSource(str(tmp_path), DatasetOptions(label_column="breed")).read(None))
    assert [(item.origin, item.metadata.breed) for item in items] == [
        (f"file:{tmp_path}/train/{seed}.jpg", "pug") for seed in range(2)
    ]


def test_a_folder_whose_name_is_not_utf_8_is_named(tmp_path: Path) -> None:
    folder = tmp_path / os.fsdecode(b"train/caf\xe9")
    folder.mkdir(parents=True)
    (folder / "1.jpg").write_bytes(pictures.jpeg())
    with pytest.raises(InvalidInput, match=r"caf.*not UTF-8; rename it"):
        list(DatasetSource(str(tmp_path), DatasetOptions(label_column=None)).read(None))


def card(folder: Path, text: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "README.md").write_text(f"---\n{text}\n---\n")
    return folder


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    """A server that nobody may connect to."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0)
        yield server


@pytest.mark.parametrize("protocol", ["http", "ftp", "webhdfs", "hf", "file", "zip://x::http"])
def test_the_card_of_a_data_set_names_no_files(
    tmp_path: Path, listener: socket.socket, protocol: str
) -> None:
    folder = written(tmp_path / "set", [{"bytes": pictures.jpeg(), "path": None}], [0])
    address = f"{protocol}://127.0.0.1:{listener.getsockname()[1]}/x.parquet"
    card(folder, f"configs:\n- config_name: default\n  data_files: {address!r}")
    (item,) = DatasetSource(str(folder), DatasetOptions()).read(None)
    assert item.data == pictures.jpeg()
    with pytest.raises(BlockingIOError):
        listener.accept()


@pytest.mark.parametrize("path", ["../other/**", "{tmp}/other/**", "file://{tmp}/other/**"])
def test_a_card_leads_to_no_other_folder(tmp_path: Path, path: str) -> None:
    written(tmp_path / "other", [{"bytes": pictures.jpeg(), "path": None}], [0])
    path = path.format(tmp=tmp_path)
    folder = card(tmp_path / "set", f"configs:\n- config_name: default\n  data_files: {path!r}")
    with pytest.raises(InvalidInput, match=r"does not load|no files"):
        list(DatasetSource(str(folder), DatasetOptions()).read(None))


def test_a_link_that_leads_out_of_the_import_folders_is_rejected(tmp_path: Path) -> None:
    other = written(tmp_path / "other", [{"bytes": pictures.jpeg(), "path": None}], [0])
    folder = tmp_path / "set"
    folder.mkdir()
    check = ImportFolders([folder]).resolve
    for link in (folder / "train.parquet", folder / "data"):
        target = other / "data/train-00000-of-00001.parquet"
        link.symlink_to(target if link.suffix else target.parent)
        with pytest.raises(InvalidInput, match=r"PETSEARCH_IMPORT_DIRS|does not load|no files"):
            list(DatasetSource(str(folder), DatasetOptions(), check).read(None))
        link.unlink()


def test_only_the_columns_that_are_used_are_read(tmp_path: Path, listener: socket.socket) -> None:
    url = f"http://127.0.0.1:{listener.getsockname()[1]}/secret.jpg"
    features = datasets.Features(
        {"image": datasets.Image(), "other": datasets.Image(), "label": datasets.Value("string")}
    )
    rows = {
        "image": [{"bytes": pictures.jpeg(), "path": None}],
        "other": [{"bytes": None, "path": url}],
        "label": ["pug"],
    }
    (tmp_path / "set").mkdir()
    datasets.Dataset.from_dict(rows, features=features).to_parquet(
        tmp_path / "set/train[1]-00000-of-00001.parquet", batch_size=10
    )
    source = DatasetSource(str(tmp_path / "set"), DatasetOptions())
    assert [(item.data, item.metadata.breed) for item in source.read(None)] == [
        (pictures.jpeg(), "pug")
    ]
    with pytest.raises(InvalidInput, match="no column 'other' of texts"):
        list(DatasetSource(source.name, DatasetOptions(label_column="other")).read(None))
    with pytest.raises(BlockingIOError):
        listener.accept()


def test_a_data_set_on_the_hub_has_its_files_there() -> None:
    check_hub_files("a/b", {"train": ["hf://datasets/a/b@main/train.parquet"]})
    for file in ("/etc/passwd", "http://a.org/x.csv", "zip://x.csv::hf://datasets/a/b@main/x.zip"):
        with pytest.raises(InvalidInput, match="not its own"):
            check_hub_files("a/b", {"train": [file]})


def test_a_broken_file_is_said(tmp_path: Path) -> None:
    folder = written(tmp_path / "set", [{"bytes": pictures.jpeg(), "path": None}], [0])
    file = folder / "data/train-00000-of-00001.parquet"
    file.write_bytes(file.read_bytes()[:-100])
    with pytest.raises(InvalidInput):
        list(DatasetSource(str(folder), DatasetOptions()).read(None))


def test_pages_that_make_no_sense_are_said_and_not_read_again(tmp_path: Path) -> None:
    images = [{"bytes": pictures.jpeg(n), "path": None} for n in range(20)]
    folder = written(tmp_path / "set", images, [0] * 20)
    file = folder / "data/train-00000-of-00001.parquet"
    data = bytearray(file.read_bytes())
    data[4:2000] = bytes(1996)
    file.write_bytes(data)
    with pytest.raises(InvalidInput, match="is broken"):
        list(DatasetSource(str(folder), DatasetOptions()).read(None))
