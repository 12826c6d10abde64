"""Where the photos of a row are: several columns, or several names in a cell."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, cast
from urllib.parse import unquote

from petsearch.domain.errors import InvalidInput
from petsearch.tables.cells import as_list, is_empty
from petsearch.tables.columns import PLACES, ColumnMap
from petsearch.tables.table import REPLACED, clean
from petsearch.tables.url_lines import split_urls

Kind = Literal["path", "key", "url"]

_URL = re.compile(r"<?https?://", re.IGNORECASE)
_BETWEEN_NAMES = re.compile(r"[;|,\n]")
_NAME = re.compile(r".*\.\w{2,5}", re.DOTALL)
"""A name with a suffix: only a cell with nothing but these is divided."""
_NOT_IN_NAMES = re.compile(f"[\0\ud800-\udfff{REPLACED}]")
"""JSON can escape unpaired surrogates."""
_MOST_PLACES = 100
"""Of a row with metadata, all of which each has."""
_SIZES = ("full", "original", "large", "url", "src", "href")


@dataclass(frozen=True)
class Place:
    """Where a photo is."""

    kind: Kind
    text: str
    """A path, `bucket/key` or a URL."""


def places_of(
    cells: Mapping[str, object], columns: ColumnMap, *, has_metadata: bool = True
) -> list[Place]:
    """The places of the photos of a row, in the order of its columns; [] if it names none.

    In a column of paths, `https://…` is a URL and `s3://…` a key.

    Args:
        has_metadata: whether the table may have more columns than those of places; a row that does
            not may name any number of photos.

    Raises:
        InvalidInput: there are too many, a place is no text, or they are in columns of several
            kinds.
    """
    filled: list[tuple[Kind, object]] = [
        (cast(Kind, kind), cells[column])
        for kind in PLACES
        for column in columns.fields.get(kind, ())
        if not is_empty(cells.get(column))
    ]
    kinds = {kind for kind, _ in filled}
    if len(kinds) > 1:
        raise InvalidInput(f"it must have one of path, key and url, and has {len(kinds)}.")
    places = [_place(kind, text) for kind, value in filled for text in _texts(kind, value)]
    if has_metadata and len(places) > _MOST_PLACES:
        raise InvalidInput(f"it names {len(places)} photos; at most {_MOST_PLACES} are read.")
    return places


def is_place(text: str) -> bool:
    """Whether a text is certainly a place: a URL, or a name with a suffix."""
    return (_URL.match(text) or _NAME.fullmatch(text)) is not None


def _texts(kind: str, value: object) -> list[str]:
    """The places in a cell."""
    listed = as_list(value)
    if listed is not None:
        return [_text(kind, entry) for entry in listed if not is_empty(entry)]
    text = _text(kind, value)
    if _URL.match(text):
        return split_urls(text)
    names = [name.strip() for name in _BETWEEN_NAMES.split(text) if name.strip()]
    return names if all(map(_NAME.fullmatch, names)) else [text]


def _text(kind: str, value: object) -> str:
    if isinstance(value, dict):  # the sizes of a picture
        value = next((value[size] for size in _SIZES if size in value), value)
    if not isinstance(value, str):
        raise InvalidInput(f"its {kind} is not a text.")
    text = clean(value)
    if _NOT_IN_NAMES.search(text):
        raise InvalidInput(f"its {kind} has characters that no name has.")
    return text


def _place(kind: Kind, text: str) -> Place:
    if kind == "path" and _URL.match(text):
        return Place("url", text)
    if kind == "path" and text.startswith("file://"):
        text = unquote(text.removeprefix("file://"))
    if kind == "path" and text.startswith("s3://"):
        kind = "key"
    if kind == "key":
        return Place("key", text.removeprefix("s3://"))
    return Place(kind, text.replace("\\", "/") if kind == "path" else text)
