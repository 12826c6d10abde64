"""Photos that a client reads and uploads: folders, and Hugging Face data sets."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from petsearch.client import Photo
from petsearch.errors import ConfigurationError, InvalidInput, NotFound
from petsearch.model_hub import hub_answers
from petsearch.sources.names import PHOTO_SUFFIXES


@dataclass(frozen=True)
class PhotoSource:
    """Photos one after the other, and how many there will be, if that is known."""

    photos: Iterator[Photo]
    count: int | None
    skipped: int = 0
    """Files of a folder that are no photos by their names."""


def from_paths(paths: Sequence[Path], *, max_bytes: int) -> PhotoSource:
    """Files and folders (walked whole). A file over `max_bytes` is sent cut, to be refused by name.

    Raises:
        NotFound: a path does not exist.
    """
    files: list[Path] = []
    skipped = 0
    for path in paths:
        if path.is_dir():
            found = [
                Path(folder) / name
                for folder, _, names in os.walk(path)
                for name in names
                if not name.startswith(".")
            ]
            wanted = sorted(file for file in found if file.suffix.lower() in PHOTO_SUFFIXES)
            skipped += len(found) - len(wanted)
            files += wanted
        elif path.exists():
            files.append(path)
        else:
            raise NotFound(f"There is no file or folder {path}.")
    return PhotoSource((_read(file, max_bytes) for file in files), len(files), skipped)


def _read(path: Path, max_bytes: int) -> Photo:
    try:
        with path.open("rb") as file:
            return Photo(path.name, file.read(max_bytes + 1))
    except OSError:
        # It is accounted like any other: the server refuses an empty file by its name.
        return Photo(path.name, b"")


@dataclass(frozen=True)
class DatasetOptions:
    """Which part of a data set to read, and what of it."""

    split: str = "train"
    label_column: str | None = "label"
    """Column whose value becomes the breed; None for photos without labels."""
    limit: int | None = None


def from_dataset(name: str, options: DatasetOptions) -> PhotoSource:
    """Photos of a Hugging Face data set, by hub name or local folder.

    Raises:
        ConfigurationError: the `datasets` library is missing, or the hub cannot be reached.
        InvalidInput: there is no such split or column, or no column with images.
    """
    rows = _load(name, options.split)
    features = rows.features or {}
    image_column = _image_column(name, features)
    if options.label_column and options.label_column not in features:
        raise InvalidInput(
            f"The data set {name} has no column {options.label_column!r}. "
            f"It has: {', '.join(features)}. Choose with --label-column, or use --no-labels."
        )
    count = _count(rows, options)
    rows = _undecoded(rows, image_column)
    if options.limit is not None:
        rows = rows.take(options.limit)
    photos = (
        _photo(row, number, features, image_column, options.label_column)
        for number, row in enumerate(rows)
    )
    return PhotoSource(photos, count)


def _load(name: str, split: str) -> Any:
    try:
        import datasets
    except ImportError as error:
        raise ConfigurationError(
            "Reading data sets needs the library 'datasets'. "
            "Install it with: pip install 'petsearch[worker]'"
        ) from error
    _check_place(name)
    try:
        # Streaming reads local files in place; otherwise they are copied into a cache first.
        return datasets.load_dataset(name, split=split, streaming=True)
    except (ValueError, FileNotFoundError, datasets.exceptions.DatasetsError) as error:
        raise InvalidInput(f"The data set {name} (split {split}) does not load: {error}") from error
    except OSError as error:
        raise ConfigurationError(
            f"The data set {name} cannot be fetched from the hub ({error}). "
            "Check the network, or give a local folder."
        ) from error


def _check_place(name: str) -> None:
    """A local folder must exist, and the hub must answer: its client would try for half a minute.

    Raises:
        NotFound: `name` is a path, and nothing is there.
        ConfigurationError: `name` is on the hub, which does not answer.
    """
    if Path(name).exists():
        return
    if name.startswith((".", "/", "~")) or name.count("/") > 1:
        raise NotFound(f"There is no folder {name}.")
    if not hub_answers():
        raise ConfigurationError(
            f"The data set {name} is no local folder, and the hub does not answer. "
            "Check the network, or give a local folder."
        )


def _image_column(name: str, features: Any) -> str:
    for column, feature in features.items():
        if type(feature).__name__ == "Image":
            return str(column)
    raise InvalidInput(f"The data set {name} has no column with images; it has: {list(features)}.")


def _undecoded(rows: Any, column: str) -> Any:
    import datasets

    return rows.cast_column(column, datasets.Image(decode=False))


def _count(rows: Any, options: DatasetOptions) -> int | None:
    splits = rows.info.splits or {}
    known = splits[options.split].num_examples if options.split in splits else 0
    if not known:
        return options.limit
    return min(known, options.limit) if options.limit is not None else known


def _photo(
    row: Any, number: int, features: Any, image_column: str, label_column: str | None
) -> Photo:
    image = row[image_column]
    data = image["bytes"]
    if data is None:
        data = Path(image["path"]).read_bytes()
    filename = str(row.get("image_id") or Path(image["path"] or f"{number:06d}.jpg").name)
    metadata = {}
    if label_column:
        label = row[label_column]
        feature = features[label_column]
        metadata["breed"] = feature.int2str(label) if hasattr(feature, "int2str") else str(label)
    return Photo(filename, data, metadata)
