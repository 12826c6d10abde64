"""Lists with a URL on each line, or several, as tables without a header."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import BinaryIO, cast

from petsearch.domain import ItemWarning
from petsearch.domain.errors import InvalidInput
from petsearch.tables.lines import BLANK, number_rows, read_line
from petsearch.tables.table import Row, Table
from petsearch.tables.text_file import open_as_utf8

_COLUMN = "url"
_AROUND = " \t\r\n<>\"',;|"
"""What stands around URLs in mails, and in exports of a single column."""
_URL = re.compile("https?://", re.IGNORECASE)
_NEXT = re.compile(f"(?<=[{_AROUND}])(?=https?://)", re.IGNORECASE)


def is_url_list(start: bytes) -> bool:
    """Whether a text that begins with `start` has a URL on its first line that is no comment."""
    lines = (line.strip().removeprefix(b"<") for line in start.splitlines())
    first = next((line for line in lines if line and not line.startswith(b"#")), b"")
    return first.lower().startswith((b"http://", b"https://"))


def read_urls(file: BinaryIO) -> list[str]:
    """The URLs of a list in any usual encoding, without blank lines and comments.

    Raises:
        InvalidInput: a line is too long to be a URL.
    """
    with open_as_utf8(file) as text:
        rows = list(UrlLines(text).read())
    for row in rows:
        if row.problem is not None:
            raise InvalidInput(f"Line {row.number} of the list cannot be read: {row.problem}.")
    return [url for row in rows for url in cast(list[str], row.cells[_COLUMN])]


class UrlLines(Table):
    """A `Table` of a list of URLs; blank lines and comments (`#`) are left out."""

    has_header = False
    columns: Sequence[str] = (_COLUMN,)

    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def read(self, number: int = 0, end: int = 0) -> Iterator[Row]:
        self._file.seek(end)
        return number_rows(self._file, number, self._read_line)

    def _read_line(self) -> tuple[Mapping[str, object], tuple[ItemWarning, ...]] | None:
        line = read_line(self._file)
        if line is None:
            return None
        is_blank = not line.strip() or line.lstrip().startswith("#")
        return (BLANK if is_blank else {_COLUMN: split_urls(line)}), ()


def split_urls(text: str) -> list[str]:
    """The URLs in a text; the text itself if it has none, which is then refused by that name."""
    parts = [part.strip(_AROUND) for part in _NEXT.split(text)]
    return [part for part in parts if _URL.match(part)] or [text.strip()]
