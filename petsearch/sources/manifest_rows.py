"""Reads the rows of a CSV or JSONL file with their offsets, so that reading can resume at any row.

An invalid row does not affect others: after an unclosed quote, reading resumes at the next line.
"""

import codecs
import csv
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import BinaryIO

from petsearch.domain.errors import InvalidInput

_MAX_ROW_BYTES = 64 * 1024
_DELIMITERS = ",;\t"
_BLANK: Mapping[str, object] = {}


class BadRow(Exception):
    """A row is invalid, with the reason. Not raised outside the manifest modules."""


@dataclass(frozen=True)
class Row:
    """The fields of a row by column, or the problem with it."""

    number: int
    """Counted from 1 like in a spreadsheet or editor, including the header of a CSV file."""
    end: int
    """Byte offset of the next row."""
    fields: Mapping[str, object]
    problem: str | None = None


def read_jsonl(file: BinaryIO, number: int, offset: int) -> Iterator[Row]:
    """Iterate over the rows after row `number`, which ended at `offset`."""
    file.seek(offset or _after_mark(file))

    def read_object() -> Mapping[str, object] | None:
        line = _read_line(file)
        if line is None:
            return None
        return _object_of(line) if line.strip() else _BLANK

    return _rows(file, number, read_object)


def _object_of(line: str) -> Mapping[str, object]:
    try:
        found = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise BadRow("it is not JSON") from error
    if not isinstance(found, dict):
        raise BadRow("it is not a JSON object")
    return found


class CsvRows:
    """A CSV file with a header row; the delimiter is `,`, `;` or tab.

    Raises:
        InvalidInput: the header cannot be read, or has a column twice.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        file.seek(_after_mark(file))
        try:
            first = _read_line(file)
            self._delimiter = max(_DELIMITERS, key=(first or "").count)
            file.seek(_after_mark(file))
            header = _record(file, self._delimiter)
        except BadRow as error:
            raise InvalidInput(f"The manifest's header row cannot be read: {error}.") from error
        self.columns: Sequence[str] = [name.strip() for name in header or ()]
        self._end_of_header = file.tell()
        if not any(self.columns):
            raise InvalidInput("The manifest has no header row with the names of its columns.")
        if len(set(self.columns)) < len(self.columns):
            raise InvalidInput("The manifest's header row has a column twice.")

    def read(self, number: int, offset: int) -> Iterator[Row]:
        """Iterate over the rows after row `number` (0 for all), which ended at `offset`."""
        self._file.seek(offset or self._end_of_header)

        def read_fields() -> Mapping[str, object] | None:
            cells = _record(self._file, self._delimiter, len(self.columns))
            if cells is None:
                return None
            return dict(zip(self.columns, cells, strict=True)) if cells else _BLANK

        return _rows(self._file, number or 1, read_fields)


def _rows(
    file: BinaryIO, number: int, read_fields: Callable[[], Mapping[str, object] | None]
) -> Iterator[Row]:
    """Iterate over rows until `read_fields` returns None; blank ones are numbered and skipped."""
    while True:
        number += 1
        try:
            fields = read_fields()
        except BadRow as error:
            yield Row(number, file.tell(), _BLANK, str(error))
            continue
        if fields is None:
            return
        if fields is not _BLANK:
            yield Row(number, file.tell(), fields)


def _record(file: BinaryIO, delimiter: str, count: int | None = None) -> list[str] | None:
    """Read the cells of the next row, which may span lines; None at the end of the file."""
    start = first_end = file.tell()

    def feed() -> Iterator[str]:
        nonlocal first_end
        while (line := _read_line(file)) is not None:
            first_end = file.tell() if first_end == start else first_end
            if file.tell() - start > _MAX_ROW_BYTES:
                raise BadRow("it is too long, or a quote in it is not closed")
            yield line

    try:
        cells = next(csv.reader(feed(), delimiter=delimiter, strict=True), None)
        if cells and count is not None and len(cells) != count:
            raise BadRow(f"it has {len(cells)} cells for {count} columns")
        return cells
    except csv.Error as error:
        file.seek(first_end)
        raise BadRow(f"its quotes are unbalanced ({error})") from error
    except BadRow:
        # If it spans lines, those after the first may be rows that a quote swallowed.
        if first_end > start:
            file.seek(first_end)
        raise


def _read_line(file: BinaryIO) -> str | None:
    """Read the next line; None at the end. It takes no more memory than the longest row.

    Raises:
        BadRow: it is too long or not UTF-8; the next call reads the line after it.
    """
    line = file.readline(_MAX_ROW_BYTES)
    if len(line) == _MAX_ROW_BYTES and not line.endswith(b"\n"):
        while line and not line.endswith(b"\n"):
            line = file.readline(_MAX_ROW_BYTES)
        raise BadRow(f"it is longer than {_MAX_ROW_BYTES // 1024} kB")
    try:
        return line.decode("utf-8") if line else None
    except UnicodeDecodeError as error:
        raise BadRow("it is not in UTF-8") from error


def _after_mark(file: BinaryIO) -> int:
    """The offset of the text, after a byte order mark if there is one."""
    file.seek(0)
    head = file.read(len(codecs.BOM_UTF8))
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise InvalidInput("The manifest is in UTF-16; save it as UTF-8.")
    return len(head) if head == codecs.BOM_UTF8 else 0
