"""Sources of photos that a client uploads: folders, Hugging Face data sets, the drawings."""

import os
import stat
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from petsearch.client.api import Photo
from petsearch.domain import LeftOut, LeftOutReason
from petsearch.domain.errors import ConfigurationError, NotFound, Unavailable
from petsearch.domain.metadata import safe_filename
from petsearch.sample.catalogue import DEMO_SEED, catalogue
from petsearch.sources import DatasetOptions
from petsearch.sources.dataset import DatasetRow, open_rows
from petsearch.sources.names import HEAD_BYTES, is_junk_folder, kind_of, reason_by_content


@dataclass(frozen=True)
class PhotoSource:
    """An iterator of photos, and their number if it is known."""

    photos: Iterator[Photo]
    count: int | None
    left_out: Sequence[LeftOut] = ()
    """Files and folders that are no photos."""
    unreadable: Mapping[str, str] = field(default_factory=dict)
    """Files that could not be read, and why; complete when all photos were taken."""


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


def from_paths(paths: Sequence[Path], *, max_bytes: int | Callable[[], int]) -> PhotoSource:
    """Files, and folders with all their subfolders.

    Of a file over `max_bytes` one byte more is read, so that the server refuses it by its name.

    Args:
        max_bytes: the server's limit, or a function that asks for it before the first file is read.

    Raises:
        NotFound: a path does not exist.
    """
    files: list[Path] = []
    left_out: list[LeftOut] = []
    for path in paths:
        if path.is_dir():
            found = list(_walk(path))
            files += sorted(file for file in found if isinstance(file, Path))
            left_out += [entry for entry in found if isinstance(entry, LeftOut)]
        elif os.path.lexists(path):
            files.append(path)
        else:
            raise NotFound(f"There is no file or folder {path}.")
    unreadable: dict[str, str] = {}
    photos = _read_all(files, max_bytes, unreadable)
    return PhotoSource(photos, len(files), left_out, unreadable)


def _walk(root: Path) -> Iterator[Path | LeftOut]:
    """The photos below a folder, and what is left out."""
    for folder, folders, names in os.walk(root):
        for name in sorted(folders):
            place = os.path.relpath(Path(folder, name), root)
            if Path(folder, name).is_symlink():
                yield LeftOut(place, LeftOutReason.LINK)
            elif is_junk_folder(name):
                yield LeftOut(place, LeftOutReason.JUNK)
        folders[:] = sorted(name for name in folders if not is_junk_folder(name))
        for name in sorted(names):
            file = Path(folder, name)
            reason = _reason_to_leave_out(file)
            yield file if reason is None else LeftOut(os.path.relpath(file, root), reason)


def _reason_to_leave_out(file: Path) -> LeftOutReason | None:
    kind = kind_of(file.name)
    if kind.is_archive:
        return LeftOutReason.ARCHIVE
    if kind.left_out is not None or kind.is_known:
        return kind.left_out
    try:
        if not stat.S_ISREG(file.stat().st_mode):
            return LeftOutReason.SPECIAL
        with file.open("rb") as opened:
            return reason_by_content(opened.read(HEAD_BYTES))
    except OSError:
        return LeftOutReason.NOT_A_PHOTO


def _read_all(
    files: Sequence[Path], max_bytes: int | Callable[[], int], unreadable: dict[str, str]
) -> Iterator[Photo]:
    most = max_bytes if isinstance(max_bytes, int) else max_bytes()
    for path in files:
        try:
            with path.open("rb") as file:
                yield Photo(safe_filename(path.name), file.read(most + 1))
        except OSError as error:
            unreadable[safe_filename(path.name)] = f"It cannot be read: {error.strerror}."


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
