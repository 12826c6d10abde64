"""The object store as a folder: one file per object, written whole or not at all."""

import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

from petsearch import object_keys
from petsearch.adapters.atomic_file import translated_disk_errors, write_atomically
from petsearch.errors import NotFound, Unavailable
from petsearch.ports import StoredObject


class FilesystemStore:
    """The `ObjectStore` port over a folder; keys become relative paths."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        with translated_disk_errors():
            folder.mkdir(parents=True, exist_ok=True)

    def put(self, key: str, data: bytes) -> None:
        """See `ObjectStore.put`."""
        write_atomically(self._path(key), data)

    def get(self, key: str) -> bytes:
        """See `ObjectStore.get`."""
        with self.open(key) as file:
            return file.read()

    def open(self, key: str, *, offset: int = 0) -> BinaryIO:
        """See `ObjectStore.open`."""
        with translated_disk_errors():
            try:
                file = self._path(key).open("rb")
                file.seek(offset)
                return file
            except (FileNotFoundError, IsADirectoryError) as error:
                raise NotFound(f"There is no object {key!r}.") from error

    def stat(self, key: str) -> StoredObject:
        """See `ObjectStore.stat`."""
        with translated_disk_errors():
            try:
                found = self._path(key).stat()
            except FileNotFoundError as error:
                raise NotFound(f"There is no object {key!r}.") from error
        return StoredObject(key, found.st_size, datetime.fromtimestamp(found.st_mtime, UTC))

    def move(self, source: str, target: str) -> None:
        """See `ObjectStore.move`."""
        here, there = self._path(source), self._path(target)
        with translated_disk_errors():
            try:
                _rename(here, there)
            except FileNotFoundError as error:
                raise NotFound(f"There is no object {source!r}.") from error

    def delete(self, key: str) -> None:
        """See `ObjectStore.delete`."""
        with translated_disk_errors():
            self._path(key).unlink(missing_ok=True)

    def list_keys(self, prefix: str) -> Iterator[str]:
        """See `ObjectStore.list_keys`."""
        start = self._path(prefix.rpartition("/")[0]) if "/" in prefix else self._folder
        for path in sorted(start.rglob("*")):
            key = path.relative_to(self._folder).as_posix()
            if path.is_file() and key.startswith(prefix) and not path.name.startswith("."):
                yield key

    def local_path(self, key: str) -> Path | None:
        """The file itself: it can be served without reading it here."""
        path = self._path(key)
        return path if path.is_file() else None

    def ping(self) -> None:
        """See `ObjectStore.ping`."""
        with translated_disk_errors():
            try:
                shutil.disk_usage(self._folder)
            except FileNotFoundError as error:
                raise Unavailable(f"The folder {self._folder} of the store is gone.") from error

    def _path(self, key: str) -> Path:
        object_keys.check(key)
        return self._folder / key


def _rename(source: Path, target: Path) -> None:
    try:
        source.rename(target)
    except FileNotFoundError:
        target.parent.mkdir(parents=True, exist_ok=True)
        source.rename(target)
