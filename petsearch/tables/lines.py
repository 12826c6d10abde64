"""Lines of a table in UTF-8, one at a time."""

import codecs
import re
from collections.abc import Callable, Iterator, Mapping
from typing import BinaryIO

from petsearch.domain import ItemWarning
from petsearch.tables.table import MAX_ROW_BYTES, BadRow, Row

TOO_LONG = f"it is longer than {MAX_ROW_BYTES // 1024} kB"
BLANK: Mapping[str, object] = {}
"""The cells of a row that is left out."""

ReadCells = Callable[[], tuple[Mapping[str, object], tuple[ItemWarning, ...]] | None]

_CONTROLS = re.compile(r"[\0-\x08\x0e-\x1f\x7f]")


def read_line(file: BinaryIO) -> str | None:
    """Read the next line; None at the end. It takes no more memory than the longest row.

    Bytes that are not UTF-8 become "\\ufffd". Control characters are dropped, as programs leave
    them in texts: DOS ends files with one.

    Raises:
        BadRow: it is too long; the next call reads the line after it.
    """
    line = file.readline(MAX_ROW_BYTES)
    if len(line) == MAX_ROW_BYTES and not line.endswith(b"\n"):
        while line and not line.endswith(b"\n"):
            line = file.readline(MAX_ROW_BYTES)
        raise BadRow(TOO_LONG)
    if not line:
        return None
    if line.startswith(codecs.BOM_UTF8) and file.tell() == len(line):
        line = line.removeprefix(codecs.BOM_UTF8)
    return _CONTROLS.sub("", line.decode(errors="replace"))


def number_rows(file: BinaryIO, number: int, read_cells: ReadCells) -> Iterator[Row]:
    """Iterate over rows until `read_cells` returns None; blank ones are numbered and left out."""
    while True:
        number += 1
        try:
            found = read_cells()
        except BadRow as error:
            yield Row(number, file.tell(), BLANK, str(error))
            continue
        if found is None:
            return
        cells, warnings = found
        if cells is not BLANK:
            yield Row(number, file.tell(), cells, warnings=warnings)
