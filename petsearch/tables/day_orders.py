"""Finds out whether the dates of a column have the day first, from the column as a whole."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field

from petsearch.tables.dates import find_day_first
from petsearch.tables.table import Table


@dataclass(frozen=True)
class DayOrders:
    """The order of day and month by column; for each that is asked, the table is read again."""

    open_table: Callable[[], AbstractContextManager[Table]]
    """Opens the table again, apart from the one that is being read."""
    _known: dict[str, bool | None] = field(default_factory=dict, init=False)

    def find(self, column: str) -> bool | None:
        """Whether the day comes first; None if the dates do not tell, or contradict each other."""
        if column not in self._known:
            with self.open_table() as table:
                values = (row.cells.get(column) for row in table.read())
                self._known[column] = find_day_first(values)
        return self._known[column]
