"""Sources of photos that a client uploads: folders, Hugging Face data sets, the drawings."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from petsearch.client.api import Photo
from petsearch.domain.errors import ConfigurationError, NotFound, Unavailable
from petsearch.sample.catalogue import DEMO_SEED, catalogue
from petsearch.sources import DatasetOptions
from petsearch.sources.dataset import DatasetRow, open_rows
from petsearch.sources.names import PHOTO_SUFFIXES


@dataclass(frozen=True)
class PhotoSource:
    """An iterator of photos, and their number if it is known."""

    photos: Iterator[Photo]
    count: int | None
    skipped: int = 0
    """Files of a folder whose names are not those of photos."""


def from_drawings(count: int) -> PhotoSource:
    """The first `count` drawings of the demo, with metadata of what they show."""
    photos = (
        Photo(
            drawing.filename,
            drawing.to_jpeg(),
            {"breed": drawing.kind, "species": drawing.species, "tags": ["drawing"]},
        )
        for drawing in catalogue(count, DEMO_SEED)
    )
    return PhotoSource(photos, count)


def from_paths(paths: Sequence[Path], *, max_bytes: int) -> PhotoSource:
    """Files, and folders with all their subfolders.

    Of a file over `max_bytes` one byte more is read, so that the server refuses it by its name.

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
        # The server refuses an empty file by its name, so that the job accounts for it.
        return Photo(path.name, b"")


def from_dataset(name: str, options: DatasetOptions) -> PhotoSource:
    """Photos of a Hugging Face data set, given by its hub name or a folder.

    Raises:
        ConfigurationError: the `datasets` library is missing, or the hub cannot be reached.
        InvalidInput: there is no such split or column, or no column with images.
        NotFound: `name` is a path that does not exist.
    """
    try:
        rows = open_rows(name, options)
    except Unavailable as error:
        raise ConfigurationError(
            f"{error.detail} Check the network, or give a local folder."
        ) from error
    return PhotoSource((_photo(row) for row in rows.read(0)), rows.count)


def _photo(row: DatasetRow) -> Photo:
    data = row.data if row.data is not None else Path(row.path).read_bytes()
    return Photo(row.filename, data, {"breed": row.breed} if row.breed is not None else {})
