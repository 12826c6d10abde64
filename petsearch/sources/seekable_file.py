"""A file whose bytes come from elsewhere, a piece at a time."""

import io
from abc import abstractmethod


class SeekableFile(io.RawIOBase):
    """Knows its size and position; a subclass reads what is there.

    Args:
        size: in bytes.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._position = 0

    @abstractmethod
    def read_at(self, position: int, buffer: memoryview) -> int:
        """Fill the buffer, or a part of it, from `position` on; how many bytes that are."""

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size}[whence]
        self._position = max(0, base + offset)
        return self._position

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]  # typeshed's Buffer
        size = min(len(buffer), self._size - self._position)
        if size <= 0:
            return 0
        read = self.read_at(self._position, memoryview(buffer)[:size])
        self._position += read
        return read
