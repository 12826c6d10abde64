"""A list of web addresses as a source. The cursor is the position in the list."""

from collections.abc import Iterator, Sequence
from urllib.parse import unquote, urlsplit

from petsearch.domain import ImageMetadata
from petsearch.domain.metadata import safe_filename
from petsearch.sources import cursor as cursors
from petsearch.sources.source import SourceItem

SCHEME = "url"


class UrlListSource:
    """The `Source` of photos at web addresses; a worker fetches them."""

    def __init__(self, urls: Sequence[str]) -> None:
        self._urls = urls

    def read(self, cursor: str | None) -> Iterator[SourceItem]:
        """See `Source.read`."""
        (start,) = cursors.unpack(cursor, 1) if cursor else (0,)
        for position in range(start, len(self._urls)):
            url = self._urls[position]
            metadata = ImageMetadata(filename=filename_of_url(url))
            yield SourceItem(metadata, cursors.pack(position + 1), origin=f"{SCHEME}:{url}")

    def count(self) -> int | None:
        """The length of the list."""
        return len(self._urls)


def filename_of_url(url: str) -> str:
    """The last part of an address's path, or its host if it has none."""
    try:
        parts = urlsplit(url)
    except ValueError:  # such as brackets that do not close; fetching it will say so
        return safe_filename(url)
    return safe_filename(unquote(parts.path)) or safe_filename(parts.netloc.rpartition("@")[2])
