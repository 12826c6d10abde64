"""A stream over blocks of bytes that knows, at its end, how many there were and their SHA-256."""

import hashlib
from collections.abc import Iterable, Iterator
from typing import BinaryIO

_BLOCK_BYTES = 1024 * 1024


class HashedStream:
    """Reads `blocks`, none of them empty, one after the other."""

    def __init__(self, blocks: Iterable[bytes]) -> None:
        self._blocks = iter(blocks)
        self._rest = memoryview(b"")
        self._hash = hashlib.sha256()
        self.size_bytes = 0

    @property
    def sha256(self) -> str:
        """Of what was read so far, in hex."""
        return self._hash.hexdigest()

    def read(self, count: int) -> bytes:
        """At most `count` bytes; none at the end."""
        if not self._rest:
            self._rest = memoryview(next(self._blocks, b""))
        part = bytes(self._rest[:count])
        self._rest = self._rest[count:]
        self._hash.update(part)
        self.size_bytes += len(part)
        return part


def blocks_of(file: BinaryIO) -> Iterator[bytes]:
    """What `file` holds; closed at the end."""
    with file:
        while block := file.read(_BLOCK_BYTES):
            yield block


def size_and_sha256(file: BinaryIO) -> tuple[int, str]:
    """Read `file` to its end and close it."""
    digest, size_bytes = hashlib.sha256(), 0
    for block in blocks_of(file):
        digest.update(block)
        size_bytes += len(block)
    return size_bytes, digest.hexdigest()
