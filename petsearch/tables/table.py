"""What a table is: a header, and rows that can be read on from any of them."""

import unicodedata
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from petsearch.domain import ItemWarning, LeftOut
from petsearch.domain.visible_text import MOST_COMPOSED

MAX_ROW_BYTES = 64 * 1024
MAX_COLUMNS = 1000
REPLACED = "\ufffd"
"""Stands for bytes that are not in the table's encoding."""


class BadRow(Exception):
    """A row is invalid, with the reason. Not raised outside this package."""


@dataclass(frozen=True)
class Row:
    """The cells of a row by column, or the problem with it."""

    number: int
    """Counted from 1 like in a spreadsheet or editor, including the header."""
    end: int
    """Where the next row begins: reading resumes with `number` and `end`."""
    cells: Mapping[str, object]
    """Texts; in JSON and in workbooks also other values."""
    problem: str | None = None
    """Why the row cannot be read, for the end of a sentence."""
    warnings: tuple[ItemWarning, ...] = ()
    columns: Sequence[str] | None = None
    """The header above it, of a table with several."""
    sheet: str = ""
    """The worksheet that it is in, of a table with several."""

    @property
    def name(self) -> str:
        """What stands for the name of a photo where it has none."""
        return f"row {self.number}" + (f" of {self.sheet}" if self.sheet else "")

    @property
    def title(self) -> str:
        """Its name at the beginning of a sentence."""
        return f"R{self.name[1:]}"


class Table(Protocol):
    """An open table."""

    columns: Sequence[str]
    """The names in its header, each of them once; of JSONL, the names in its first row."""
    has_header: bool
    left_out: Sequence[LeftOut] = ()
    """What of the file is not read."""

    def read(self, number: int = 0, end: int = 0) -> Iterator[Row]:
        """Iterate over the rows after row `number`, which ended at `end`; by default over all.

        Blank rows and repeated headers are left out. One iterator is used at a time.
        """


def clean(text: str) -> str:
    """A cell as people read it: composed characters (NFC), without spaces around it.

    What is longer than any text stays as it is composed. The form `="0017"`, by which programs keep
    Excel from taking a number for one, becomes `0017`.
    """
    if len(text) <= MOST_COMPOSED:
        text = unicodedata.normalize("NFC", text)
    text = text.strip(" \t\r\n\xa0\ufeff\u200b")
    if text.startswith('="') and text.endswith('"'):
        text = text[2:-1]
    return text.strip()


def unique_names(cells: Sequence[str]) -> list[str]:
    """The names of columns, cleaned; a second `photo` is `photo 2`, a blank one stays blank."""
    names: dict[str, None] = {}
    found: list[str] = []
    times = Counter[str]()
    for cell in map(clean, cells):
        name = cell
        times[cell] += 1
        while cell and name in names:
            name = f"{cell} {times[cell]}"
            times[cell] += name in names
        names[name] = None
        found.append(name)
    return found


def is_filled(cell: object) -> bool:
    """Whether a cell holds more than blanks."""
    return cell is not None and (not isinstance(cell, str) or bool(clean(cell)))
