"""Data sets that the server reads itself."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import datasets
import pytest

from petsearch.domain.errors import InvalidInput
from petsearch.sources import DatasetOptions
from petsearch.sources.dataset import DatasetSource
from tests import pictures

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


def test_a_broken_file_is_said(tmp_path: Path) -> None:
    folder = written(tmp_path / "set", [{"bytes": pictures.jpeg(), "path": None}], [0])
    file = folder / "data/train-00000-of-00001.parquet"
    file.write_bytes(file.read_bytes()[:-100])
    with pytest.raises(InvalidInput):
        list(DatasetSource(str(folder), DatasetOptions()).read(None))
