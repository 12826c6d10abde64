"""An object of the store as a seekable file, without a copy on disk."""

import io
from collections.abc import Callable
from typing import BinaryIO, cast

from petsearch.ports import ObjectStore
from petsearch.sources.seekable_file import SeekableFile

_READ_AHEAD_BYTES = 1024 * 1024
"""Up to this distance, reading ahead is cheaper than another request."""
_BUFFER_BYTES = 256 * 1024


def open_object(store: ObjectStore, key: str) -> BinaryIO:
    """Open an object as a seekable stream.

    Raises:
        NotFound: there is no such object.
    """
    path = store.local_path(key)
    if path is not None:
        return path.open("rb")
    size = store.stat(key).size_bytes
    file = _ObjectFile(lambda offset: store.open(key, offset=offset), size)
    return cast(BinaryIO, io.BufferedReader(file, _BUFFER_BYTES))


class _ObjectFile(SeekableFile):
    """Reads forward from one request, and opens another one after other seeks."""

    def __init__(self, open_at: Callable[[int], BinaryIO], size: int) -> None:
        super().__init__(size)
        self._open_at = open_at
        self._stream: BinaryIO | None = None
        self._stream_position = 0

    def read_at(self, position: int, buffer: memoryview) -> int:
        part = self._stream_from(position).read(len(buffer))
        buffer[: len(part)] = part
        self._stream_position = position + len(part)
        return len(part)

    def close(self) -> None:
        if self._stream is not None:
            self._stream.close()
            self._stream = None
        super().close()

    def _stream_from(self, position: int) -> BinaryIO:
        ahead = position - self._stream_position
        if self._stream is not None and 0 <= ahead <= _READ_AHEAD_BYTES:
            self._stream.read(ahead)
        else:
            if self._stream is not None:
                self._stream.close()
            self._stream = self._open_at(position)
        self._stream_position = position
        return self._stream
