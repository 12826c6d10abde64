"""The rows of a CSV or JSONL file with the place of each, so that reading can go on from any.

A row that cannot be read costs itself and nothing else: after an unclosed quote, reading goes on
at the next line.
"""

import codecs
import csv
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import BinaryIO

from petsearch.domain.errors import InvalidInput

_LONGEST_ROW = 64 * 1024
_DELIMITERS = ",;\t"


class BadRow(Exception):
    """One row cannot be used; says why. Does not leave the manifest's modules."""


@dataclass(frozen=True)
class Row:
    """A row's fields by column, or what is wrong with it."""

    number: int
    """As a table program or an editor counts: from 1, a CSV file's header included."""
    end: int
    """Byte offset of the next row."""
    fields: Mapping[str, object]
    problem: str | None = None


def read_jsonl(file: BinaryIO, number: int, offset: int) -> Iterator[Row]:
    """The rows after row `number`, which ended at `offset`. Empty lines are passed over."""
    lines = _Lines(file, offset or _after_mark(file))
    while True:
        number += 1
        fields: Mapping[str, object] = {}
        problem = None
        try:
            line = lines.take()
            if line is None:
                return
            if not line.strip():
                continue
            fields = _object_of(line)
        except BadRow as error:
            problem = str(error)
        yield Row(number, lines.offset, fields, problem)


def _object_of(line: str) -> Mapping[str, object]:
    try:
        found = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise BadRow("it is no JSON") from error
    if not isinstance(found, dict):
        raise BadRow("it is no JSON object")
    return found


class CsvRows:
    """A CSV file whose first row names the columns; separated by `,`, `;` or tab.

    Raises:
        InvalidInput: the header cannot be read, or names a column twice.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        lines = _Lines(file, _after_mark(file))
        try:
            first = lines.take()
            self._delimiter = max(_DELIMITERS, key=(first or "").count)
            lines.go_to(_after_mark(file))
            header = _record(lines, self._delimiter)
        except BadRow as error:
            raise InvalidInput(f"The manifest's header row cannot be read: {error}.") from error
        self.columns: Sequence[str] = [name.strip() for name in header or ()]
        self._end_of_header = lines.offset
        if not any(self.columns):
            raise InvalidInput("The manifest has no header row that names its columns.")
        if len(set(self.columns)) < len(self.columns):
            raise InvalidInput("The manifest's header names a column twice.")

    def read(self, number: int, offset: int) -> Iterator[Row]:
        """The rows after row `number` (0 for all), which ended at `offset`."""
        lines = _Lines(self._file, offset or self._end_of_header)
        number = number or 1
        while True:
            number += 1
            fields: Mapping[str, object] = {}
            problem = None
            try:
                cells = _record(lines, self._delimiter, len(self.columns))
                if cells is None:
                    return
                if not cells:
                    continue
                fields = dict(zip(self.columns, cells, strict=True))
            except BadRow as error:
                problem = str(error)
            yield Row(number, lines.offset, fields, problem)


def _record(lines: "_Lines", delimiter: str, count: int | None = None) -> list[str] | None:
    """The cells of the next row, which may span lines; None at the end of the file."""
    first_end = lines.offset
    start = lines.offset

    def feed() -> Iterator[str]:
        nonlocal first_end
        while (line := lines.take()) is not None:
            first_end = lines.offset if first_end == start else first_end
            if lines.offset - start > _LONGEST_ROW:
                raise BadRow("it is too long, or a quote in it is not closed")
            yield line

    try:
        cells = next(csv.reader(feed(), delimiter=delimiter, strict=True), None)
        if cells and count is not None and len(cells) != count:
            raise BadRow(f"it has {len(cells)} cells for {count} columns")
        return cells
    except csv.Error as error:
        lines.go_to(first_end)
        raise BadRow(f"its quotes are not in order ({error})") from error
    except BadRow:
        # If it spans lines, what follows its first one may be rows that a quote swallowed.
        if first_end > start:
            lines.go_to(first_end)
        raise


class _Lines:
    """Lines of a file from an offset on, none of them longer in memory than a row may be."""

    def __init__(self, file: BinaryIO, offset: int) -> None:
        self._file = file
        self.go_to(offset)

    def go_to(self, offset: int) -> None:
        self._file.seek(offset)
        self.offset = offset

    def take(self) -> str | None:
        """The next line; None at the end.

        Raises:
            BadRow: it is too long or not UTF-8; the next call gives the line after it.
        """
        line = self._file.readline(_LONGEST_ROW)
        self.offset += len(line)
        if len(line) == _LONGEST_ROW and not line.endswith(b"\n"):
            while (more := self._file.readline(_LONGEST_ROW)) and not more.endswith(b"\n"):
                self.offset += len(more)
            self.offset += len(more)
            raise BadRow(f"it is longer than {_LONGEST_ROW // 1024} kB")
        try:
            return line.decode("utf-8") if line else None
        except UnicodeDecodeError as error:
            raise BadRow("it is not in UTF-8") from error


def _after_mark(file: BinaryIO) -> int:
    """Where the text begins: some programs put a byte order mark in front."""
    file.seek(0)
    head = file.read(len(codecs.BOM_UTF8))
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise InvalidInput("The manifest is in UTF-16; save it as UTF-8.")
    return len(head) if head == codecs.BOM_UTF8 else 0
