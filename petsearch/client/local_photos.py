"""Sources of photos that a client uploads: folders, Hugging Face data sets, the drawings."""

import errno
import os
import stat
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path, PurePath
from typing import Self

from petsearch.client.photo import Photo
from petsearch.domain import JsonDict, LeftOut, LeftOutReason
from petsearch.domain.errors import ConfigurationError, InvalidInput, NotFound, Unavailable
from petsearch.domain.metadata import (
    PhotoMetadata,
    named_metadata,
    parse_metadata,
    safe_filename,
    safe_path,
)
from petsearch.sample.catalogue import DEMO_SEED, catalogue
from petsearch.sources import DatasetOptions
from petsearch.sources.dataset import DatasetRows, file_of, open_rows
from petsearch.sources.names import HEAD_BYTES, is_junk_folder, kind_of, reason_by_content
from petsearch.sources.sidecars import MOST_BYTES, Sidecars


@dataclass(frozen=True)
class PhotoSource:
    """An iterator of photos, and their number if it is known."""

    photos: Iterator[Photo]
    count: int | None
    left_out: Sequence[LeftOut] = ()
    """Files and folders that are no photos."""
    unreadable: list[tuple[str, str]] = field(default_factory=list)
    """Files and folders that could not be read or sent, and why; complete when all photos were
    taken."""
    warnings: list[tuple[str, str]] = field(default_factory=list)
    """What is odd about files beside photos, by the photo; complete when all were taken."""
    names: Sequence[str] = ()
    """Of the files: their paths in the folders that were given."""


def add_metadata(source: PhotoSource, said: JsonDict, *, animal_from_folder: bool) -> PhotoSource:
    """The same photos, with metadata that is true of all of them.

    Args:
        said: fields of the API's `metadata`; `attributes` and `tags` are added to a photo's.
        animal_from_folder: whether the name of a photo's folder is its animal, if it is in one.

    Raises:
        InvalidInput: a field of `said` is invalid.
    """
    parse_metadata(said, "")

    def change(photo: Photo) -> Photo:
        folder = PurePath(photo.metadata.get("source_path", "")).parent.name
        animal = {"animal_id": folder} if animal_from_folder and folder else {}
        attributes = said.get("attributes", {})
        # What is said goes first: of too many, the last are left out.
        more: JsonDict = {
            "attributes": {**attributes, **photo.metadata.get("attributes", {}), **attributes},
            "tags": [*said.get("tags", ()), *photo.metadata.get("tags", ())],
        }
        return replace(photo, metadata={**photo.metadata, **animal, **said, **more})

    return replace(source, photos=map(change, source.photos))


def first_photos(source: PhotoSource, limit: int) -> PhotoSource:
    """The first photos of a source, at most `limit`."""
    count = None if source.count is None else min(source.count, limit)
    return replace(source, photos=islice(source.photos, limit), count=count)


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


def from_paths(
    paths: Sequence[Path], *, max_bytes: int | Callable[[], int], gps: bool = False
) -> PhotoSource:
    """Files, and folders with all their subfolders, described by the sidecars in these.

    Of a file over `max_bytes` one byte more is read, so that the server refuses it by its name.

    Args:
        max_bytes: the server's limit, or a function that asks for it before the first file is read.
        gps: whether places are read from sidecars.

    Raises:
        NotFound: a path does not exist.
    """
    files: list[_File] = []
    left_out: list[LeftOut] = []
    unreadable: list[tuple[str, str]] = []
    for path in paths:
        if path.is_dir():
            folder = _Folder.read(path)
            files += folder.photos
            left_out += folder.left_out
            unreadable += folder.unreadable
        elif os.path.lexists(path):
            files.append(_File(path, path.name, Sidecars(tuple, lambda _: b"")))
        else:
            raise NotFound(f"There is no file or folder {path}.")
    warnings: list[tuple[str, str]] = []
    photos = _read_all(files, max_bytes, unreadable, warnings, gps=gps)
    names = [file.name for file in files]
    return PhotoSource(photos, len(files), left_out, unreadable, warnings, names)


@dataclass(frozen=True)
class _File:
    """A photo in a folder."""

    path: Path
    name: str
    """Its path in the folder."""
    sidecars: Sidecars

    def to_photo(self, data: bytes, warnings: list[tuple[str, str]], *, gps: bool) -> Photo:
        """The photo, described by its sidecars."""
        described = self.sidecars.describe(self.name, named_metadata(self.name))
        metadata = described.metadata
        if gps:
            metadata = replace(metadata, location=described.location)
        warnings += [(metadata.filename, warning.detail) for warning in described.warnings]
        said = PhotoMetadata.of(metadata).model_dump(mode="json", exclude_none=True)
        return Photo(metadata.filename, data, said)


@dataclass(frozen=True)
class _Folder:
    """What is found in a folder."""

    photos: list[_File]
    left_out: list[LeftOut]
    unreadable: list[tuple[str, str]]
    """The folders in it that could not be read, maybe itself, and why."""

    @classmethod
    def read(cls, root: Path) -> Self:
        """Read the names in a folder and pair its sidecars."""
        unreadable: list[tuple[str, str]] = []

        def record(error: OSError) -> None:
            place = os.path.relpath(error.filename, root)
            unreadable.append(_unreadable(str(root) if place == "." else place, error))

        found = list(_walk(root, record))
        names = [e.name if isinstance(e, LeftOut) else os.path.relpath(e, root) for e in found]

        def read(name: str) -> bytes:
            return _read(root / name, MOST_BYTES + 1)

        sidecars = Sidecars(lambda: names, read)
        files = sorted(entry for entry in found if isinstance(entry, Path))
        return cls(
            [_File(file, os.path.relpath(file, root), sidecars) for file in files],
            [sidecars.classify(entry) for entry in found if isinstance(entry, LeftOut)],
            unreadable,
        )


def _walk(root: Path, on_error: Callable[[OSError], None]) -> Iterator[Path | LeftOut]:
    """The photos below a folder, and what is left out; `on_error` is told of unreadable folders."""
    for folder, folders, names in os.walk(root, onerror=on_error):
        place_of = {name: os.path.relpath(Path(folder, name), root) for name in sorted(folders)}
        junk = {name for name, place in place_of.items() if is_junk_folder(place)}
        for name, place in place_of.items():
            if _is_link(Path(folder, name)):
                yield LeftOut(place, LeftOutReason.LINK)
            elif name in junk:
                yield LeftOut(place, LeftOutReason.JUNK)
        folders[:] = sorted(set(folders) - junk)
        for name in sorted(names):
            file = Path(folder, name)
            reason = _reason_to_leave_out(file)
            yield file if reason is None else LeftOut(os.path.relpath(file, root), reason)


def _is_link(folder: Path) -> bool:
    try:
        return folder.is_symlink()
    except OSError:  # it is in a folder that may not be entered: reading it says so
        return False


def _unreadable(place: str, error: OSError) -> tuple[str, str]:
    return safe_path(place), f"It cannot be read: {error.strerror}."


def _reason_to_leave_out(file: Path) -> LeftOutReason | None:
    kind = kind_of(file.name)
    if kind.is_archive:
        return LeftOutReason.ARCHIVE
    if kind.left_out is not None:
        return kind.left_out
    try:
        if not stat.S_ISREG(file.stat().st_mode):
            return LeftOutReason.SPECIAL
        return None if kind.is_known else reason_by_content(_read(file, HEAD_BYTES))
    except OSError:
        # A photo's item says why it cannot be read.
        return None if kind.is_known else LeftOutReason.NOT_A_PHOTO


def _read(path: Path, most: int) -> bytes:
    """The first bytes of a file.

    Raises:
        OSError: it cannot be read, or is no regular file: a pipe would be waited for, and a device
            may have no end.
    """
    if not stat.S_ISREG(path.stat().st_mode):
        raise OSError(errno.EINVAL, "Not a regular file")
    with path.open("rb") as file:
        return file.read(most)


def _read_all(
    files: Sequence[_File],
    max_bytes: int | Callable[[], int],
    unreadable: list[tuple[str, str]],
    warnings: list[tuple[str, str]],
    *,
    gps: bool,
) -> Iterator[Photo]:
    most = max_bytes if isinstance(max_bytes, int) else max_bytes()
    for file in files:
        try:
            data = _read(file.path, most + 1)
        except OSError as error:
            unreadable.append(_unreadable(file.name, error))
        else:
            yield file.to_photo(data, warnings, gps=gps)


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
    unreadable: list[tuple[str, str]] = []
    return PhotoSource(_read_rows(name, rows, unreadable), rows.count, unreadable=unreadable)


def _read_rows(name: str, rows: DatasetRows, unreadable: list[tuple[str, str]]) -> Iterator[Photo]:
    for row in rows.read(0):
        filename = safe_filename(row.filename)
        try:
            data = row.data if row.data is not None else file_of(name, row).read_bytes()
        except InvalidInput as error:
            unreadable.append((filename, error.detail))
        except OSError as error:
            unreadable.append(_unreadable(filename, error))
        else:
            yield Photo(filename, data, {"breed": row.breed} if row.breed is not None else {})
