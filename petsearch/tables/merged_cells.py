"""Merged cells of a worksheet: the value of the first one counts for all rows that it spans."""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import IO

from petsearch.domain.errors import InvalidInput
from petsearch.tables.table import is_filled

_RANGE = re.compile(
    rb"""<(?:\w{1,32}:)?mergeCell\s+ref=["']([A-Z]{1,3})([0-9]{1,7}):[A-Z]{1,3}([0-9]{1,7})["']"""
)
_LONGEST_BYTES = 128
"""More than what `_RANGE` matches takes."""
_BLOCK_BYTES = 1024 * 1024
_MOST = 100_000


@dataclass(frozen=True)
class Span:
    """Rows that share the cell of the first one. Columns count from 0, rows from 1."""

    column: int
    rows: range


def spans_of(sheet: IO[bytes]) -> list[Span]:
    """The cells that span rows, of the XML of a worksheet, which names them behind its rows.

    Raises:
        InvalidInput: there are too many.
    """
    found: list[Span] = []
    rest = b""
    while block := sheet.read(_BLOCK_BYTES):
        text, end = rest + block, 0
        for match in _RANGE.finditer(text):
            letters, first, last = match.groups()
            end = match.end()
            if int(first) < int(last):
                found.append(Span(_column(letters), range(int(first), int(last) + 1)))
        if len(found) > _MOST:
            raise InvalidInput("The workbook has too many merged cells; save its table as CSV.")
        rest = text[max(end, len(text) - _LONGEST_BYTES) :]
    return found


def filled(
    rows: Iterable[tuple[object, ...]], first: int, spans: Iterable[Span]
) -> Iterator[tuple[object, ...]]:
    """The rows, the first of which has the number `first`, with what spans them.

    Rows that have nothing else stay blank.
    """
    beginning = defaultdict[int, list[Span]](list)
    for span in spans:
        beginning[span.rows.start].append(span)
    shared: dict[int, tuple[range, object]] = {}
    """What spans the row, by its column."""
    for number, cells in enumerate(rows, first):
        shared = {column: span for column, span in shared.items() if number in span[0]}
        if shared and any(map(is_filled, cells)):
            cells = tuple(
                shared[n][1] if cell is None and n in shared else cell
                for n, cell in enumerate(cells)
            )
        for span in beginning.get(number, ()):
            if span.column < len(cells):
                shared[span.column] = span.rows, cells[span.column]
        yield cells


def _column(letters: bytes) -> int:
    number = 0
    for letter in letters:
        number = number * 26 + letter - ord("A") + 1
    return number - 1
