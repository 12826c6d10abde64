"""A stream that fails if it is shorter or longer than declared."""

from typing import BinaryIO

from petsearch.domain.errors import InvalidInput, Unavailable


class SizedStream:
    """Reads a file of `size_bytes`; None if its size is not known.

    Raises:
        InvalidInput: from `read`, if the stream is shorter or longer.
        Unavailable: from `read`, if the stream is interrupted.
    """

    def __init__(self, file: BinaryIO, size_bytes: int | None) -> None:
        self._file = file
        self._size_bytes = size_bytes
        self._read_bytes = 0

    def read(self, count: int = -1) -> bytes:
        """At most `count` bytes, by default all that is left; none at the end."""
        try:
            data = self._file.read(count)
        except OSError as error:
            raise Unavailable(f"The stream was interrupted: {error}.") from error
        self._read_bytes += len(data)
        wanted = self._size_bytes
        if wanted is None:
            return data
        if self._read_bytes > wanted or (not data and self._read_bytes < wanted):
            raise InvalidInput(
                f"The stream has {'more' if data else 'fewer'} bytes than the {wanted} it was "
                "said to have."
            )
        return data
