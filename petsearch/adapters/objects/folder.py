"""The object store as a folder: one file per object, written whole or not at all."""

import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

from petsearch.adapters.objects.sized_stream import SizedStream
from petsearch.atomic_file import (
    disk_errors,
    replacing,
    write_atomically,
)
from petsearch.domain import object_keys
from petsearch.domain.errors import NotFound, Unavailable
from petsearch.file_access import check_store, may_use
from petsearch.observability import get_logger
from petsearch.ports import ObjectStore, StoredObject

log = get_logger(__name__)

_BLOCK_BYTES = 1024 * 1024
_MARKER = ".petsearch"
"""Tells the folder from the empty one below, where a disk is not mounted."""


class FilesystemStore(ObjectStore):
    """Objects as files in a folder; keys become relative paths."""

    @disk_errors()
    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        marker = folder / _MARKER
        with suppress(OSError):  # a folder that may not be written, or a full disk
            marker.touch()
        self._sign = marker if marker.exists() else folder
        """What is there as long as the folder is."""

    def put(self, key: str, data: bytes) -> None:
        name = self._name(key)
        self._make_folder_of(name)
        write_atomically(name, data)

    def put_stream(self, key: str, file: BinaryIO, size_bytes: int | None) -> None:
        name = self._name(key)
        self._make_folder_of(name)
        with replacing(Path(name)) as target:
            shutil.copyfileobj(SizedStream(file, size_bytes), target, _BLOCK_BYTES)

    def get(self, key: str) -> bytes:
        # Without the buffer that `Path.open` makes and the whole file goes past.
        with self._found(key), open(self._name(key), "rb", buffering=0) as file:  # noqa: PTH123  # no Path: see _name
            return file.readall()

    def open(self, key: str, *, offset: int = 0) -> BinaryIO:
        with self._found(key):
            file = self._path(key).open("rb")
            file.seek(offset)
            return file

    def stat(self, key: str) -> StoredObject:
        with self._found(key):
            return _stored(key, self._path(key).stat())

    def move(self, source: str, target: str) -> None:
        name = self._name(target)
        with self._found(source):
            self._make_folder_of(name)
            os.rename(self._name(source), name)  # noqa: PTH104  # no Path: see _name

    @disk_errors()
    def delete(self, key: str) -> None:
        with suppress(NotFound), self._found(key):
            self._path(key).unlink()

    @disk_errors()
    def check_delete(self, keys: Iterable[str]) -> None:
        for folder in {self._path(key).parent for key in keys}:
            if folder.exists() and not may_use(folder, os.W_OK | os.X_OK):
                log.error("a folder of the store cannot be changed", folder=str(folder))
                raise Unavailable(
                    "The server may not delete this photo: it has no permission for the folder of "
                    "its files, which its log names. Nothing was deleted."
                )

    def check_access(self) -> None:
        check_store(self._folder)

    def list_objects(self, prefix: str) -> Iterator[StoredObject]:
        """One folder is in memory at a time, and those above it."""
        self._check_folder()
        with disk_errors():
            yield from _walk(self._folder, "", prefix)

    def local_path(self, key: str) -> Path | None:
        """The file itself: it can be served without reading it here."""
        path = self._path(key)
        return path if path.is_file() else None

    def ping(self) -> None:
        self._check_folder()

    def _path(self, key: str) -> Path:
        return Path(self._name(key))

    def _name(self, key: str) -> str:
        """The path as a string: every item calls it several times, and a `Path` costs more."""
        object_keys.check(key)
        return f"{self._folder}/{key}"

    @contextmanager
    def _found(self, key: str) -> Iterator[None]:
        with disk_errors():
            try:
                yield
            except (FileNotFoundError, IsADirectoryError) as error:
                self._check_folder()
                raise NotFound(f"There is no object {key!r}.") from error

    @disk_errors()
    def _make_folder_of(self, name: str) -> None:
        self._check_folder()
        folder = Path(name).parent
        if not folder.is_dir():
            folder.mkdir(parents=True, exist_ok=True)

    @disk_errors()
    def _check_folder(self) -> None:
        """Where a disk is not mounted, nothing in it is lost, and nothing is to be written.

        Raises:
            Unavailable: the folder is gone, or another is in its place.
        """
        if self._sign.exists():
            return
        log.error("the folder of the object store is gone", folder=str(self._folder))
        raise Unavailable("The folder of the object store is gone, as of a disk that is unmounted.")


def _walk(folder: Path, above: str, prefix: str) -> Iterator[StoredObject]:
    """The objects of a folder whose own key is `above`, in the order of their whole keys."""
    for name in _names_in_key_order(folder):
        key = above + name
        if not (key.startswith(prefix) or prefix.startswith(key)):
            continue
        if name.endswith("/"):
            yield from _walk(folder / name, key, prefix)
        elif key.startswith(prefix):
            # A file that was moved away since the folder was read is not there any more.
            with suppress(FileNotFoundError):
                yield _stored(key, (folder / name).stat())


def _names_in_key_order(folder: Path) -> list[str]:
    """Folders end in a slash, which comes after `-` and before letters: `a-b`, `a/`, `ab`."""
    try:
        with os.scandir(folder) as entries:
            return sorted(
                f"{entry.name}/" if entry.is_dir() else entry.name
                for entry in entries
                if not entry.name.startswith(".")  # a file that is still being written
            )
    except FileNotFoundError:
        return []


def _stored(key: str, found: os.stat_result) -> StoredObject:
    return StoredObject(key, found.st_size, datetime.fromtimestamp(found.st_mtime, UTC))
