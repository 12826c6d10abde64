"""A stream over blocks of bytes that knows, at its end, how many there were and their SHA-256."""

import hashlib
import io
from collections.abc import Iterable, Iterator
from typing import BinaryIO, cast

_BLOCK_BYTES = 1024 * 1024


class HashedStream(io.RawIOBase):
    """Reads `blocks` one after the other."""

    def __init__(self, blocks: Iterable[bytes]) -> None:
        self._blocks = iter(blocks)
        self._rest = memoryview(b"")
        self._hash = hashlib.sha256()
        self.size_bytes = 0

    @property
    def sha256(self) -> str:
        """Of what was read so far, in hex."""
        return self._hash.hexdigest()

    @property
    def file(self) -> BinaryIO:
        """This, as what stores take."""
        return cast(BinaryIO, self)

    def readable(self) -> bool:
        """It is."""
        return True

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]  # the base takes any buffer
        """Part of a block; 0 at the end."""
        while not self._rest:
            block = next(self._blocks, None)
            if block is None:
                return 0
            self._rest = memoryview(block)
        part = self._rest[: len(buffer)]
        buffer[: len(part)] = part
        self._rest = self._rest[len(part) :]
        self._hash.update(part)
        self.size_bytes += len(part)
        return len(part)

    def drain(self) -> None:
        """Read to the end, for the hash alone."""
        while self.read(_BLOCK_BYTES):
            pass


def blocks_of(file: BinaryIO) -> Iterator[bytes]:
    """What `file` holds; closed at the end."""
    with file:
        while block := file.read(_BLOCK_BYTES):
            yield block
