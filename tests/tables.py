"""What tests read from tables."""

import io
from collections.abc import Callable, Sequence

from openpyxl import Workbook

from petsearch.domain import ImageMetadata
from petsearch.tables import Columns, Row, has_places, map_columns, open_table, read_metadata


def rows_of(data: str | bytes) -> list[Row]:
    encoded = data.encode() if isinstance(data, str) else data
    with open_table(io.BytesIO(encoded), lambda names: has_places(names, {})) as table:
        return list(table.read())


def cells_of(data: str | bytes) -> list[dict[str, object]]:
    return [dict(row.cells) for row in rows_of(data)]


def said(columns: Columns | None = None, **cells: object) -> ImageMetadata:
    return read_metadata(cells, map_columns(list(cells), columns or {}), "a.jpg")[0]


def warnings_of(**cells: object) -> list[tuple[str | None, str]]:
    _, warnings = read_metadata(cells, map_columns(list(cells), {}), "a.jpg")
    assert {warning.code for warning in warnings} <= {"cell_ignored"}
    return [(warning.field, warning.detail) for warning in warnings]


def workbook(*rows: Sequence[object], change: Callable[[Workbook], None] = lambda _: None) -> bytes:
    book = Workbook()
    for row in rows:
        book.worksheets[0].append(list(row))
    change(book)
    written = io.BytesIO()
    book.save(written)
    return written.getvalue()
