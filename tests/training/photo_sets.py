"""Small data sets of photos that tests make."""

from collections.abc import Sequence
from pathlib import Path

import datasets

BREEDS = ("Maine_Coon", "pug")


def write_photo_set(
    folder: Path,
    photos: Sequence[bytes | None],
    labels: Sequence[int | str | None],
    *,
    split: str = "train",
    label_column: str = "label",
    classes: Sequence[str] = BREEDS,
) -> Path:
    """A data set as one Parquet file; labels are places in `classes`, or names."""
    by_name = any(isinstance(label, str) for label in labels)
    features = datasets.Features(
        {
            "image": datasets.Image(),
            label_column: datasets.Value("string")
            if by_name
            else datasets.ClassLabel(names=list(classes)),
            "image_id": datasets.Value("string"),
        }
    )
    rows = {
        "image": [
            {"bytes": photo, "path": None} if photo is not None else None for photo in photos
        ],
        label_column: list(labels),
        "image_id": [f"n{number}" for number in range(len(photos))],
    }
    (folder / "data").mkdir(parents=True, exist_ok=True)
    datasets.Dataset.from_dict(rows, features=features).to_parquet(
        folder / f"data/{split}-00000-of-00001.parquet", batch_size=10
    )
    return folder
