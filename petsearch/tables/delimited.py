"""Tables with a delimiter between cells, as Excel and other programs save them.

An invalid row does not affect others: after an unclosed quote, reading resumes at the next line.
"""

import csv
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import BinaryIO

from petsearch.domain import ItemWarning
from petsearch.domain.errors import InvalidInput
from petsearch.tables.headers import HEADER_ROWS, IsHeader, find_header
from petsearch.tables.lines import BLANK, TOO_LONG, number_rows, read_line
from petsearch.tables.table import (
    MAX_COLUMNS,
    MAX_ROW_BYTES,
    BadRow,
    Row,
    Table,
    clean,
    unique_names,
)

_DELIMITERS = ",;\t|"
_NO_DELIMITER = "\x1f"
_PLAIN_DELIMITERS = frozenset((*_DELIMITERS, _NO_DELIMITER))
_SEPARATOR_LINE = re.compile(r'"?sep=(.)"?\s*', re.IGNORECASE)
"""The line before the header by which Excel knows the delimiter."""


_LOOKAHEAD_BYTES = 16 * MAX_ROW_BYTES
"""How far the end of a long row is looked for: it costs that row, and not each of its lines."""


class _Unbalanced(Exception):
    """A row's quotes are not closed, or swallow the rows after it."""


@dataclass(frozen=True)
class _Header:
    columns: Sequence[str]
    delimiter: str
    number: int
    end: int


class Delimited(Table):
    """A `Table` of CSV; the delimiter is the one of `,`, `;`, tab and `|` that divides the header.

    Raises:
        InvalidInput: there is no header, or it cannot be read.
    """

    has_header = True

    def __init__(self, file: BinaryIO, is_header: IsHeader) -> None:
        self._file = file
        self._lookahead = _LOOKAHEAD_BYTES
        try:
            header = _find_header(file, is_header)
        except (BadRow, csv.Error, _Unbalanced) as error:
            raise InvalidInput(f"The table's header row cannot be read: {error}.") from error
        if header is None:
            raise InvalidInput("The table has no header row with the names of its columns.")
        if len(header.columns) > MAX_COLUMNS:
            raise InvalidInput(f"The table has more than {MAX_COLUMNS} columns.")
        self._header = header
        self.columns: Sequence[str] = header.columns

    def read(self, number: int = 0, end: int = 0) -> Iterator[Row]:
        self._file.seek(end or self._header.end)
        return number_rows(self._file, number or self._header.number, self._read_cells)

    def _read_cells(self) -> tuple[Mapping[str, object], tuple[ItemWarning, ...]] | None:
        start = self._file.tell()
        warnings: tuple[ItemWarning, ...] = ()
        try:
            cells = self._record(start)
        except (csv.Error, _Unbalanced):
            self._file.seek(start)
            cells = self._unquoted_line()
            warnings = (ItemWarning("quotes_unbalanced", "Its quotes are unbalanced."),)
        if cells is None:
            return None
        if not any(map(clean, cells)) or self._is_header(cells):
            return BLANK, ()
        if any(map(clean, cells[len(self.columns) :])):
            warnings += (self._extra_cells(len(cells)),)
        named = zip(self.columns, cells, strict=False)
        return {name: cell for name, cell in named if name}, warnings

    def _record(self, start: int) -> list[str] | None:
        """The cells of the row at `start`, which may span lines; None at the end of the file.

        Raises:
            BadRow: it is too long.
            csv.Error, _Unbalanced: its quotes are unbalanced.
        """
        try:
            cells = _record(self._file, start, self._header.delimiter, self._lookahead)
        except (BadRow, _Unbalanced) as error:
            if _spans_lines(self._file, start):
                # Once is enough: further rows that nothing closes would make the time quadratic.
                self._lookahead = MAX_ROW_BYTES
                raise _Unbalanced from error
            raise
        if cells and len(cells) > len(self.columns) and _spans_lines(self._file, start):
            raise _Unbalanced
        if self._file.tell() - start > MAX_ROW_BYTES:
            raise BadRow(TOO_LONG)
        return cells

    def _unquoted_line(self) -> list[str]:
        """The cells of the next line alone, whose quotes are unbalanced."""
        line = read_line(self._file) or ""
        delimiter = self._header.delimiter
        with suppress(csv.Error):
            cells = _cells_of(line, delimiter)
            if len(cells) == len(self.columns):
                return cells
        return line.replace('"', "").split(delimiter)

    def _is_header(self, cells: Sequence[str]) -> bool:
        return clean(cells[0]) == self.columns[0] and unique_names(cells) == self.columns

    def _extra_cells(self, count: int) -> ItemWarning:
        return ItemWarning(
            "extra_cells",
            f"It has {count} cells for {len(self.columns)} columns; those beyond are left out, and "
            "some may be in the wrong column.",
        )


def _find_header(file: BinaryIO, is_header: IsHeader) -> _Header | None:
    """The header among the first rows.

    Raises:
        csv.Error, _Unbalanced, BadRow: there is none, but a row that cannot be read.
    """
    problems: list[Exception] = []
    header = find_header(_first_rows(file, is_header, problems), is_header)
    if problems and (header is None or not is_header(header.columns)):
        raise problems[0]
    return header


def _first_rows(
    file: BinaryIO, is_header: IsHeader, problems: list[Exception]
) -> Iterator[_Header]:
    """The first rows that are not blank, up to one with unbalanced quotes; adds to `problems`."""
    file.seek(0)
    delimiters = _DELIMITERS
    for number in range(1, HEADER_ROWS + 1):
        start = file.tell()
        try:
            line = read_line(file)
        except BadRow as error:  # such as a title
            problems.append(error)
            continue
        if line is None:
            return
        if separator := _SEPARATOR_LINE.fullmatch(line):
            delimiters = separator[1]
        elif line.strip(f"{_DELIMITERS} \r\n"):
            try:
                found = _headers_at(file, start, number, delimiters)
            except (csv.Error, _Unbalanced, BadRow) as error:
                problems.append(error)
                return
            best = max(found, key=lambda header: (is_header(header.columns), len(header.columns)))
            yield best
            file.seek(best.end)


def _headers_at(file: BinaryIO, start: int, number: int, delimiters: str) -> list[_Header]:
    """The headers that may begin at `start`, by the delimiters that its quotes allow.

    Raises:
        csv.Error, _Unbalanced, BadRow: there is none.
    """
    found: list[_Header] = []
    problem: Exception | None = None
    for delimiter in delimiters:
        try:
            found.append(_header_at(file, start, number, delimiter))
        except (csv.Error, _Unbalanced, BadRow) as error:
            problem = problem or error
    if problem is not None and not found:
        raise problem
    return found


def _header_at(file: BinaryIO, start: int, number: int, delimiter: str) -> _Header:
    """The header that begins at `start`, divided by `delimiter`."""
    file.seek(start)
    try:
        cells = _record(file, start, delimiter) or []
    except csv.Error:
        file.seek(start)
        line = read_line(file) or ""
        if line.count('"') % 2:
            raise
        cells = _cells_of(line, delimiter)
    # Of a single column, which may hold anything, no row is divided.
    delimiter = delimiter if len(cells) > 1 else _NO_DELIMITER
    return _Header(unique_names(cells), delimiter, number, file.tell())


def _cells_of(line: str, delimiter: str) -> list[str]:
    """The cells of a line whose quotes may be unbalanced."""
    escape = "\\" if '\\"' in line else None
    row = csv.reader([line], delimiter=delimiter, skipinitialspace=True, escapechar=escape)
    return next(row)


def _record(
    file: BinaryIO, start: int, delimiter: str, longest: int = MAX_ROW_BYTES
) -> list[str] | None:
    """See `Delimited._record`; the file is at `start`."""
    if (first := read_line(file)) is None:
        return None
    if (cells := cells_without_quotes(first, delimiter)) is not None:
        return cells
    csv.field_size_limit(_LOOKAHEAD_BYTES)  # of the process; by default 128 kB: too little for it

    def feed() -> Iterator[str]:
        yield first
        while (line := read_line(file)) is not None:
            if file.tell() - start > longest:
                raise _Unbalanced("it is too long, or a quote in it is not closed")
            yield line

    return next(csv.reader(feed(), delimiter=delimiter, strict=True, skipinitialspace=True))


def cells_without_quotes(line: str, delimiter: str) -> list[str] | None:
    """The cells as a csv.reader divides such a line, whose making takes longer; None for others."""
    text = line.rstrip("\r\n")
    if '"' in text or "\r" in text or delimiter not in _PLAIN_DELIMITERS:
        return None
    return [cell.lstrip(" ") for cell in text.split(delimiter)] if text else []


def _spans_lines(file: BinaryIO, start: int) -> bool:
    """Whether there is more than one line from `start` to here."""
    end = file.tell()
    file.seek(start)
    file.readline()
    spans = file.tell() < end
    file.seek(end)
    return spans
