"""Finds out whether the dates of a column have the day first, from the column as a whole."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import cached_property

from petsearch.tables.dates import says_day_first
from petsearch.tables.table import MAX_COLUMNS, Table


@dataclass(frozen=True)
class DayOrders:
    """The order of day and month by column. The table is read once more, when it is first asked."""

    open_table: Callable[[], AbstractContextManager[Table]]
    """Opens the table again, apart from the one that is being read."""

    def find(self, column: str) -> bool | None:
        """Whether the day comes first; None if the dates do not tell, or contradict each other."""
        told = self._told.get(column, set())
        return next(iter(told)) if len(told) == 1 else None

    @cached_property
    def _told(self) -> dict[str, set[bool]]:
        """What the dates of each column tell; of JSON, of the first columns that tell anything."""
        found: dict[str, set[bool]] = {}
        with self.open_table() as table:
            for row in table.read():
                for column, value in row.cells.items():
                    told = says_day_first(value)
                    if told is not None and (column in found or len(found) < MAX_COLUMNS):
                        found.setdefault(column, set()).add(told)
        return found
