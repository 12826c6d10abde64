"""Labelled photos of a data set, by their numbers."""

from pathlib import Path

import numpy as np
import pytest

from petsearch.adapters.clip.model import load_model
from petsearch.domain import PixelSpec
from petsearch.domain.errors import InvalidInput, NotAnImage, NotFound
from petsearch.domain.prompts import species_of
from tests import pictures
from tests.training.photo_sets import write_photo_set
from training.evaluation.embedding import embed_photos
from training.evaluation.photos import class_counts, load_split

PHOTOS = [pictures.jpeg(seed) for seed in range(6)]


def test_photos_are_read_by_number_with_class_and_species(tmp_path: Path) -> None:
    photos = load_split(str(write_photo_set(tmp_path, PHOTOS, [0, 1, 1, 0, 1, 1])), "train")
    assert photos.class_names == ("maine coon", "pug")
    assert photos.labels.tolist() == [0, 1, 1, 0, 1, 1]
    assert [photos.data(index) for index in (5, 0)] == [PHOTOS[5], PHOTOS[0]]
    assert photos.name(3) == "n3"
    assert photos.pixels(2, PixelSpec(32, 32)).shape == (3, 32, 32)
    assert class_counts(photos) == {"maine coon": 2, "pug": 4}


def test_labels_may_be_names_in_a_column_of_any_name(tmp_path: Path) -> None:
    names = ["Maine_Coon ", "dragon", "maine coon", None, "", "dragon"]
    folder = write_photo_set(tmp_path, PHOTOS, names, label_column="kind", split="test")
    photos = load_split(str(folder), "test", image_column="image", label_column="kind")
    assert photos.class_names == ("dragon", "maine coon")
    assert photos.labels.tolist() == [1, 0, 1, 0]
    assert [(photo.name, photo.reason) for photo in photos.skipped] == [
        ("n3", "It has no label."),
        ("n4", "It has no label."),
    ]
    assert photos.data(3) == PHOTOS[5]


def test_a_subset_keeps_the_places_of_classes(tmp_path: Path) -> None:
    photos = load_split(str(write_photo_set(tmp_path, PHOTOS, [0, 1, 1, 0, 1, 1])), "train")
    some = photos.subset([4, 1]).subset(np.array([1]))
    assert (len(some), some.name(0), some.labels.tolist()) == (1, "n1", [1])
    assert some.class_names == photos.class_names


def test_broken_photos_are_named_and_left_out(tmp_path: Path) -> None:
    bad: list[bytes | None] = [PHOTOS[0], PHOTOS[1][:200], pictures.HTML, b"", None, PHOTOS[5]]
    photos = load_split(str(write_photo_set(tmp_path, bad, [0, 1, 1, 0, 1, 1])), "train")
    embedded = embed_photos(load_model("sample", device="cpu", precision="fp32"), photos)
    assert [embedded.photos.name(index) for index in range(2)] == ["n0", "n5"]
    assert len(embedded.embeddings) == len(embedded.photos) == 2
    assert [photo.name for photo in embedded.broken] == ["n1", "n2", "n3", "n4"]
    assert all(photo.reason.endswith(".") for photo in embedded.broken)
    with pytest.raises(NotAnImage, match="holds no photo"):
        photos.data(4)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"label_column": "breed"}, r"no column 'breed'.*image \(Image\), label \(ClassLabel\)"),
        ({"image_column": "photo"}, r"no column 'photo'.*image \(Image\)"),
        ({"image_column": "label"}, "holds no images"),
        ({"label_column": "image"}, "holds no labels"),
    ],
)
def test_absent_columns_are_refused_by_name(
    tmp_path: Path, options: dict[str, str], message: str
) -> None:
    folder = write_photo_set(tmp_path, PHOTOS, [0, 1, 1, 0, 1, 1])
    with pytest.raises(InvalidInput, match=message):
        load_split(str(folder), "train", **options)


def test_one_class_only_is_refused(tmp_path: Path) -> None:
    folder = write_photo_set(tmp_path, PHOTOS, [1, 1, 1, 1, 1, -1])
    with pytest.raises(InvalidInput, match="only 'pug'; at least two classes"):
        load_split(str(folder), "train")


def test_a_split_without_labels_is_refused(tmp_path: Path) -> None:
    folder = write_photo_set(tmp_path, PHOTOS, [-1] * 6)
    with pytest.raises(InvalidInput, match="no label at all"):
        load_split(str(folder), "train")


def test_an_empty_or_absent_split_is_refused(tmp_path: Path) -> None:
    folder = str(write_photo_set(tmp_path, PHOTOS, [0, 1, 1, 0, 1, 1]))
    with pytest.raises(InvalidInput, match="empty"):
        load_split(folder, "train[:0]")
    with pytest.raises(InvalidInput, match="validation"):
        load_split(folder, "validation")
    with pytest.raises(NotFound, match="no folder"):
        load_split(f"{folder}/elsewhere", "train")


def test_a_folder_of_photo_files_is_a_data_set(tmp_path: Path) -> None:
    for number, breed in enumerate(("pug", "Sphynx", "pug")):
        (tmp_path / "test" / breed).mkdir(parents=True, exist_ok=True)
        (tmp_path / "test" / breed / f"{number}.jpg").write_bytes(PHOTOS[number])
    photos = load_split(str(tmp_path), "test")
    assert photos.class_names == ("pug", "sphynx")
    assert sorted((photos.name(i), photos.data(i)) for i in range(3)) == [
        (f"{number}.jpg", PHOTOS[number]) for number in range(3)
    ]


def test_the_real_split_has_37_breeds(pets_split: str) -> None:
    photos = load_split(pets_split, "test")
    assert len(photos) == 1819
    assert len(photos.class_names) == 37
    assert None not in map(species_of, photos.class_names)
