"""Opens a table by its content: its name does not matter."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO

from petsearch.domain.errors import InvalidInput
from petsearch.photos import formats
from petsearch.tables.delimited import Delimited
from petsearch.tables.headers import IsHeader
from petsearch.tables.json_lines import JsonLines
from petsearch.tables.table import Table
from petsearch.tables.text_file import open_as_utf8
from petsearch.tables.url_lines import UrlLines, is_url_list
from petsearch.tables.workbook import open_workbook

_CONTROLS = re.compile(rb"[\0-\x08\x0e-\x1a]")
_TEXTS = (None, "a text", "a JSON document")
_ZIP = b"PK\x03\x04"
_OLD_OFFICE = b"\xd0\xcf\x11\xe0"
"""Workbooks before 2007, and those with a password."""


@contextmanager
def open_table(file: BinaryIO, is_header: IsHeader) -> Iterator[Table]:
    """Open a CSV, JSONL or XLSX file, or a list of URLs.

    Args:
        file: seekable; it stays open as long as the table.
        is_header: finds the header below titles; otherwise it is the first row that is not blank.

    Raises:
        InvalidInput: the file is no table, or its header cannot be read.
    """
    file.seek(0)
    head = file.read(formats.HEAD_BYTES)
    if head.startswith(_ZIP):
        with open_workbook(file, is_header) as table:
            yield table
        return
    if head.startswith(_OLD_OFFICE):
        raise InvalidInput(
            "The file is an Excel workbook of the old kind (.xls) or has a password; "
            "save it as .xlsx or CSV."
        )
    with open_as_utf8(file) as text:
        start = text.read(formats.HEAD_BYTES).removeprefix(b"\xef\xbb\xbf").lstrip()
        if start.startswith(b"["):
            raise InvalidInput("The table is a JSON list; write one object a line instead.")
        if start.startswith(b"<") or _is_binary(head, start):
            raise InvalidInput(f"The file is {formats.describe(head) or 'no text'}, not a table.")
        if start.startswith(b"{"):
            yield JsonLines(text)
        elif is_url_list(start):
            yield UrlLines(text)
        else:
            yield Delimited(text, is_header)


def _is_binary(head: bytes, text: bytes) -> bool:
    """Whether a file is no text: it has control characters, and is of a known kind or has many."""
    count = len(_CONTROLS.findall(text))
    return count > 0 and (formats.describe(head) not in _TEXTS or count > 4 + len(text) // 50)
