"""What the columns of each row mean: each line of JSON and each worksheet can have its own."""

from collections.abc import Iterator

from petsearch.domain import LeftOut
from petsearch.tables.columns import ColumnMap, Columns, map_columns
from petsearch.tables.table import Row, Table


class RowColumns:
    """The meaning of the columns of a table, row by row.

    Args:
        given: the meaning of columns whose names do not tell it.
    """

    def __init__(self, table: Table, given: Columns) -> None:
        self._given = given
        self._left_out = table.left_out
        self._names = tuple(table.columns)
        self._known = frozenset(table.columns)
        self._header = map_columns(self._names, given)
        self._latest = (self._names, self._header)

    def of(self, row: Row) -> ColumnMap:
        """The meaning of the columns of a row."""
        names = tuple(row.columns or dict.fromkeys((*self._names, *row.cells)))
        if names != self._latest[0]:
            self._latest = (names, map_columns(names, self._given))
        return self._latest[1]

    def strange(self, columns: ColumnMap) -> Iterator[str]:
        """The columns of a row that mean nothing and are not in the header."""
        return (name for name in columns.unknown if name not in self._known)

    def left_out(self) -> list[LeftOut]:
        """What of the table is not read: columns that mean nothing, and worksheets."""
        return [*self._header.left_out(), *self._left_out]
