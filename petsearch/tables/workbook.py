"""Excel workbooks (.xlsx). Cells keep their types: numbers, dates, truth values."""

import io
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, BinaryIO
from xml.etree.ElementTree import ParseError
from zipfile import BadZipFile, ZipFile

from petsearch.domain import LeftOut, LeftOutReason
from petsearch.domain.errors import InvalidInput, is_damage
from petsearch.domain.metadata import safe_path
from petsearch.tables.headers import HEADER_ROWS, IsHeader, find_header
from petsearch.tables.merged_cells import Span, filled, spans_of
from petsearch.tables.table import MAX_COLUMNS, Row, Table, is_filled, unique_names

if TYPE_CHECKING:
    from openpyxl.worksheet.worksheet import Worksheet

_MAX_UNPACKED_BYTES = 256 * 1024 * 1024
_MAX_SHARED_BYTES = 64 * 1024 * 1024
"""Of the texts and styles, which are held in memory."""
_MAX_RATIO = 100
"""Unpacked to packed bytes; 5 to 30 are usual."""
_ANY_RATIO_BYTES = 8 * 1024 * 1024
_MAX_ROWS = 1_048_576
"""Excel's own limit; a row may state any number."""
_SHEET = 2 * _MAX_ROWS
"""The factor of the sheet in the end of a row."""
# What openpyxl raises for files that are no workbook, or a broken one.
_ERRORS = (
    BadZipFile,
    zlib.error,
    ParseError,
    EOFError,
    OSError,
    OverflowError,
    KeyError,
    ValueError,
    TypeError,
    IndexError,
    AttributeError,
    NotImplementedError,
    RuntimeError,
)


class SheetTable(Table):
    """A `Table` of a worksheet. The end of a row is its number."""

    has_header = True

    def __init__(self, sheet: "Worksheet", columns: Sequence[str], header: int) -> None:
        self._sheet = sheet
        self._header = header
        self.columns = columns
        self.title = safe_path(str(sheet.title))[:100]

    def read(self, number: int = 0, end: int = 0) -> Iterator[Row]:
        first = max(number, end, self._header) + 1
        with _reading():
            blank = (None,) * len(self.columns)
            for found, cells in self._rows_from(first):
                if cells == blank or not any(map(is_filled, cells)) or self._is_header(cells):
                    continue
                named = dict(zip(self.columns, cells, strict=False))
                named.pop("", None)
                yield Row(found, found, named)

    @cached_property
    def _spans(self) -> list[Span]:
        """openpyxl does not tell of them where it reads row by row."""
        book: Any = self._sheet.parent
        sheet: Any = self._sheet
        with book._archive.open(sheet._worksheet_path) as xml:
            return [span for span in spans_of(xml) if span.rows.start > self._header]

    def _rows_from(self, first: int) -> Iterator[tuple[int, tuple[object, ...]]]:
        """Rows with their numbers. What spans the first one may stand above it."""
        start = min((span.rows.start for span in self._spans if first in span.rows), default=first)
        rows = filled(_rows(self._sheet, start, len(self.columns)), start, self._spans)
        return ((number, cells) for number, cells in enumerate(rows, start) if number >= first)

    def _is_header(self, cells: Sequence[object]) -> bool:
        return cells[0] == self.columns[0] and unique_names(_names(cells)) == self.columns


class Sheets(Table):
    """A `Table` of worksheets, one after the other. The end of a row has the sheet and its row.

    Those without a header are left out, unless there are no others; so are those with which there
    would be too many columns.
    """

    has_header = True

    def __init__(self, tables: Sequence[SheetTable], is_header: IsHeader) -> None:
        with_header = [table for table in tables if is_header(table.columns)]
        self._tables: list[SheetTable] = []
        columns: dict[str, None] = {}
        for table in with_header or tables[:1]:
            names = columns | dict.fromkeys(table.columns)
            if len(names) <= MAX_COLUMNS:
                self._tables.append(table)
                columns = names
        self.columns: Sequence[str] = list(columns)
        self.left_out = [
            LeftOut(f"rows of {table.title}", LeftOutReason.ROW)
            for table in tables
            if table not in self._tables
        ]

    def read(self, number: int = 0, end: int = 0) -> Iterator[Row]:
        first, end = divmod(end, _SHEET)
        for index, table in enumerate(self._tables[first:], first):
            title = table.title if len(self._tables) > 1 else ""
            for row in table.read(number, end):
                place = index * _SHEET + row.end
                yield replace(row, end=place, columns=table.columns, sheet=title)
            number = end = 0


@contextmanager
def open_workbook(file: BinaryIO, is_header: IsHeader) -> Iterator[Table]:
    """Open the worksheets with a header; otherwise the first one with a row.

    Raises:
        InvalidInput: it is no workbook, too large, or all sheets are empty.
    """
    # Imported late: only readers of workbooks wait for it.
    from openpyxl import load_workbook

    with _reading():
        _check(file)
        book = load_workbook(file, read_only=True, data_only=True, keep_links=False)
    try:
        with _reading():
            found = [find_header(_tables(sheet), is_header) for sheet in book.worksheets]
        tables = [table for table in found if table is not None]
        if not tables:
            raise InvalidInput("The table has no header row with the names of its columns.")
        yield Sheets(tables, is_header)
    finally:
        book.close()


def _check(file: BinaryIO) -> None:
    """Check whose file it is, and what its parts unpack to, which zipfile does not read beyond.

    Raises:
        InvalidInput: it is another program's, or too large.
    """
    packed = file.seek(0, io.SEEK_END)
    entries = ZipFile(file).infolist()
    names = {entry.filename for entry in entries}
    if "[Content_Types].xml" not in names:
        what = "OpenDocument file (.ods)" if "META-INF/manifest.xml" in names else "archive"
        raise InvalidInput(
            f"The file is an {what}, not an Excel workbook; save its table as .xlsx or CSV."
        )
    total = sum(entry.file_size for entry in entries)
    shared = sum(entry.file_size for entry in entries if "worksheets/" not in entry.filename)
    if total > _MAX_UNPACKED_BYTES or shared > _MAX_SHARED_BYTES:
        raise InvalidInput("The workbook is too large; save its table as CSV.")
    if total > max(_ANY_RATIO_BYTES, _MAX_RATIO * packed):
        raise InvalidInput("The workbook unpacks to far more than a table; save it as CSV.")
    file.seek(0)


def _tables(sheet: "Worksheet") -> Iterator[SheetTable]:
    """The tables that the sheet is with each of its first rows that are not blank as the header."""
    sheet.reset_dimensions()  # type: ignore[attr-defined]  # some programs state wrong ones
    for number, cells in enumerate(_rows(sheet, 1, MAX_COLUMNS, HEADER_ROWS), 1):
        width = next((n for n in range(len(cells), 0, -1) if is_filled(cells[n - 1])), 0)
        if names := unique_names(_names(cells[:width])):
            yield SheetTable(sheet, names, number)


def _rows(
    sheet: "Worksheet", first: int, width: int, last: int = _MAX_ROWS
) -> Iterator[tuple[object, ...]]:
    return sheet.iter_rows(min_row=first, max_row=last, max_col=width, values_only=True)


def _names(cells: Sequence[object]) -> list[str]:
    return ["" if cell is None else str(cell) for cell in cells]


@contextmanager
def _reading() -> Iterator[None]:
    try:
        yield
    except _ERRORS as error:
        if isinstance(error, OSError) and not is_damage(error):
            raise
        reason = "The file is not an Excel workbook (.xlsx), or it is damaged."
        raise InvalidInput(reason) from error
