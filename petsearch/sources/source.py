"""What a source is: items in a fixed order, each with the cursor to go on from after it."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from petsearch.domain import ImageMetadata


@dataclass(frozen=True)
class SourceItem:
    """One photo of a source: its bytes, or the origin to fetch them from, or why neither."""

    metadata: ImageMetadata
    cursor: str
    """Where `Source.read` goes on after this item."""
    data: bytes | None = None
    """The bytes, where reading the source brought them (an archive, a data set)."""
    origin: str | None = None
    """Where a worker fetches the bytes: `s3:<bucket>/<key>`, `url:<address>`, `file:<path>`."""
    size_bytes: int | None = None
    """Of the bytes, where that is known before they are fetched."""
    refusal: str | None = None
    """Why this entry is no photo that can be taken (a bad row, too large, an escaping path)."""


class Source(Protocol):
    """A list of photos that can be read on from any cursor, in the same order every time."""

    def read(self, cursor: str | None) -> Iterator[SourceItem]:
        """The items after `cursor`, from the start if it is None; holds one at a time in memory.

        Raises:
            InvalidInput: the source as a whole cannot be read (no archive, an unknown column).
            NotFound: there is no such file, object, bucket or data set.
            Unavailable: where it lies does not answer; reading on later works.
        """

    def count(self) -> int | None:
        """How many items there are, if that is known without reading all of them."""


class Fetcher(Protocol):
    """Fetches the bytes of items that only have an origin. Called from several threads."""

    def fetch(self, origin: str, *, max_bytes: int) -> bytes:
        """The bytes at `origin`.

        Raises:
            NotFound: nothing is there.
            TooLarge: there are more than `max_bytes`.
            InvalidInput: the origin is not allowed, or answers that it will never be given.
            Unavailable: it does not answer; the same call may work later.
        """
