"""A list of URLs as a source. The cursor is the position in the list."""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

from petsearch.domain import ImageMetadata
from petsearch.domain.metadata import safe_filename
from petsearch.sources import cursor as cursors
from petsearch.sources.names import refusal_by_name
from petsearch.sources.source import Source, SourceItem

SCHEME = "url"


@dataclass(frozen=True)
class UrlListSource(Source):
    """The `Source` of photos at URLs, which workers fetch."""

    urls: Sequence[str]

    def read(self, cursor: str | None) -> Iterator[SourceItem]:
        (start,) = cursors.unpack(cursor, 1) if cursor else (0,)
        for number, url in enumerate(self.urls[start:], start + 1):
            metadata, refusal = ImageMetadata(filename_of_url(url)), refusal_of_url(url)
            origin = None if refusal else f"{SCHEME}:{url}"
            yield SourceItem(metadata, cursors.pack(number), origin=origin, refusal=refusal)

    def count(self) -> int | None:
        return len(self.urls)


def filename_of_url(url: str) -> str:
    """The last part of a URL's path, or its host if there is no path."""
    try:
        parts = urlsplit(url)
    except ValueError:  # such as unbalanced brackets, which the fetch reports
        return safe_filename(url)
    return safe_filename(unquote(parts.path)) or safe_filename(parts.netloc.rpartition("@")[2])


def last_part_of(url: str) -> str:
    """The last part of a URL's path; "" if it has none."""
    with suppress(ValueError):
        return unquote(urlsplit(url).path.rpartition("/")[2])
    return ""


def refusal_of_url(url: str) -> str | None:
    """See `refusal_by_name`; only a path names a file."""
    return refusal_by_name(last_part_of(url))
