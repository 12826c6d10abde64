"""Finds the header of a table below titles, such as those that reports begin with."""

from collections.abc import Callable, Iterable, Sequence
from typing import Protocol, TypeVar

from petsearch.tables.columns import is_attribute
from petsearch.tables.places import is_place

HEADER_ROWS = 20
"""The header is looked for in this many rows."""

IsHeader = Callable[[Sequence[str]], bool]
"""Whether a row is the header, judged by the names in it."""


class _WithColumns(Protocol):
    @property
    def columns(self) -> Sequence[str]: ...


_Header = TypeVar("_Header", bound=_WithColumns)


def find_header(rows: Iterable[_Header], is_header: IsHeader) -> _Header | None:
    """The first row with names of columns; otherwise the first row. None if there is none.

    A single name may be a title, such as "Photos", or a statement, such as "URL,https://…": one
    with several names goes before it, even below.
    """
    first = single = None
    for row in rows:
        first = first or row
        if single and len(row.columns) == 1 and is_place(row.columns[0]):
            break  # a photo: the single name above it is the header
        if is_header(row.columns):
            if sum(map(_is_name, row.columns)) > 1:
                return row
            single = single or row
    return single or first


def _is_name(cell: str) -> bool:
    return is_attribute(cell) or (any(map(str.isalpha, cell)) and not is_place(cell))
