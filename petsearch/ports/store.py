"""The object store."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import BinaryIO, Protocol

from petsearch.domain.errors import NotFound


@dataclass(frozen=True)
class StoredObject:
    """An object's bytes are read through `open`; this is what is known without reading them."""

    key: str
    size_bytes: int
    modified_at: datetime


class ObjectStore(Protocol):
    """Bytes under keys such as `thumbs/0a/<id>.jpg`."""

    def put(self, key: str, data: bytes) -> None:
        """Store `data` whole or not at all; an existing object is replaced.

        Raises:
            StorageFull: there is no space left.
        """

    def put_stream(self, key: str, file: BinaryIO, size_bytes: int | None) -> None:
        """Store what `file` still holds, whole or not at all, with little of it in memory.

        Args:
            size_bytes: how much that is; None where it is not known.

        Raises:
            InvalidInput: the stream is shorter or longer than `size_bytes`.
            StorageFull: there is no space left.
        """

    def get(self, key: str) -> bytes:
        """The bytes under `key`.

        Raises:
            NotFound: there is no such object.
        """

    def open(self, key: str, *, offset: int = 0) -> BinaryIO:
        """A stream of the bytes under `key` from byte `offset` on; the caller closes it.

        `offset` is less than the object's size, or 0. Reading may raise `Unavailable`.

        Raises:
            NotFound: there is no such object.
        """

    def stat(self, key: str) -> StoredObject:
        """Size and modification time.

        Raises:
            NotFound: there is no such object.
        """

    def find(self, key: str) -> StoredObject | None:
        """See `stat`; None if there is no such object."""
        try:
            return self.stat(key)
        except NotFound:
            return None

    def move(self, source: str, target: str) -> None:
        """Rename an object, replacing `target`.

        Raises:
            NotFound: there is no object `source`.
        """

    def delete(self, key: str) -> None:
        """Delete an object; an absent one is ignored."""

    def check_delete(self, keys: Iterable[str]) -> None:
        """Check that objects can be deleted, as far as that is known beforehand.

        Raises:
            Unavailable: one cannot.
        """

    def check_access(self) -> None:
        """Check that everything in the store can be replaced and deleted.

        Raises:
            ConfigurationError: it cannot; the message says what mends it.
        """

    def list_keys(self, prefix: str) -> Iterator[str]:
        """The keys that start with `prefix`, sorted; read as the caller goes on."""
        return (found.key for found in self.list_objects(prefix))

    def list_objects(self, prefix: str) -> Iterator[StoredObject]:
        """The objects whose keys start with `prefix`, by key; read as the caller goes on."""

    def local_path(self, key: str) -> Path | None:  # noqa: ARG002  # for stores that have
        """Where the object lies on this machine's disk, if the store has it there."""
        return None

    def ping(self) -> None:
        """Return if the store answers, raise `Unavailable` otherwise."""
