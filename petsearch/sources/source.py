"""What a source is: items in a fixed order, each with a cursor to resume after it."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

from petsearch.domain import ImageMetadata, ItemWarning, LeftOut
from petsearch.domain.errors import InvalidInput, Unavailable, is_damage


@dataclass(frozen=True)
class SourceItem:
    """One photo of a source: its bytes, the origin to fetch them from, or a refusal."""

    metadata: ImageMetadata
    cursor: str
    """The cursor with which `Source.read` resumes after this item."""
    data: bytes | None = None
    """The bytes, if reading the source yields them (an archive, a data set)."""
    origin: str | None = None
    """Where a worker fetches the bytes: `s3:<bucket>/<key>`, `url:<address>`, `file:<path>`."""
    size_bytes: int | None = None
    """The number of bytes, if it is known before they are fetched."""
    refusal: str | None = None
    """Why this entry is refused (an invalid row, too large, a path that leads out)."""
    warnings: tuple[ItemWarning, ...] = ()
    """What is odd about what the source says of it."""
    sidecar_location: tuple[float, float] | None = None
    """Where it was taken by a file beside it; used only if the job asks for places."""


class Source(Protocol):
    """Photos in a fixed order, which can be read from any cursor."""

    def read(self, cursor: str | None) -> Iterator[SourceItem | LeftOut]:
        """Iterate over the items after `cursor`, or over all; one at a time is in memory.

        Entries that are no photos come between them, so that they can be counted and named.

        Raises:
            InvalidInput: the source as a whole cannot be read (not an archive, an unknown column).
            NotFound: the file, object, bucket or data set does not exist.
            Unavailable: its server or disk does not answer; reading can resume later.
        """

    def count(self) -> int | None:
        """The number of items, if it is known without reading all of them."""
        return None


class Fetcher(Protocol):
    """Fetches the bytes of items that only have an origin. Called from several threads."""

    def fetch(self, origin: str, *, max_bytes: int) -> bytes:
        """Fetch the bytes at `origin`.

        Raises:
            NotFound: nothing exists there.
            TooLarge: there are more than `max_bytes`.
            InvalidInput: the origin is not allowed, or its server refuses permanently.
            Unavailable: it does not answer; the same call may succeed later.
        """


@contextmanager
def disk_errors(what: str) -> Iterator[None]:
    """Raise `Unavailable` for errors of the disk while the block reads `what`.

    Raises:
        InvalidInput: its content is damaged.
    """
    try:
        yield
    except OSError as error:
        if is_damage(error):
            raise InvalidInput(f"{what} is damaged: {error}.") from error
        raise Unavailable(f"{what} cannot be read: {error.strerror or error}.") from error
