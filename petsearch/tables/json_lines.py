"""Tables with a JSON object on each line."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import BinaryIO

from petsearch.domain import ItemWarning
from petsearch.tables.lines import BLANK, number_rows, read_line
from petsearch.tables.table import MAX_COLUMNS, BadRow, Row, Table

_ATTRIBUTES = "attributes"


class JsonLines(Table):
    """A `Table` of JSONL. Its columns are the names in the first row that can be read."""

    has_header = False

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.columns: Sequence[str] = next(
            (tuple(row.cells) for row in self.read() if row.cells), ()
        )

    def read(self, number: int = 0, end: int = 0) -> Iterator[Row]:
        self._file.seek(end)
        return number_rows(self._file, number, self._read_object)

    def _read_object(self) -> tuple[Mapping[str, object], tuple[ItemWarning, ...]] | None:
        line = read_line(self._file)
        if line is None:
            return None
        return (_object_of(line) if line.strip() else BLANK), ()


def _object_of(line: str) -> Mapping[str, object]:
    try:
        found = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise BadRow("it is not JSON") from error
    if not isinstance(found, dict):
        raise BadRow("it is not a JSON object")
    nested = found.pop(_ATTRIBUTES, None) if isinstance(found.get(_ATTRIBUTES), dict) else {}
    if len(found) + len(nested) > MAX_COLUMNS:
        raise BadRow(f"it has more than {MAX_COLUMNS} names")
    return found | {f"{_ATTRIBUTES}.{name}": value for name, value in nested.items()}
