"""Text files as people's programs save them: UTF-8, UTF-16 or Windows' cp1252."""

import codecs
import io
from collections.abc import Iterator
from contextlib import contextmanager
from tempfile import SpooledTemporaryFile
from typing import BinaryIO, cast

from petsearch.tables.table import REPLACED

_PART_BYTES = 256 * 1024
_IN_MEMORY_BYTES = 8 * 1024 * 1024
_LINES_BYTES = 64 * 1024


@contextmanager
def open_as_utf8(file: BinaryIO) -> Iterator[BinaryIO]:
    """Open a text file in any of the encodings as UTF-8 with `\\n` between lines.

    One encoding is chosen for the whole file. A file in UTF-8 is yielded as it is, possibly with a
    byte order mark; of another one, a temporary copy.
    """
    encoding = encoding_of(file)
    file.seek(0)
    head = file.read(_LINES_BYTES)
    file.seek(0)
    if encoding == "utf-8" and (b"\n" in head or b"\r" not in head):
        yield file
        return
    # Also for lines that end with \r alone, as Excel for Mac can save them.
    with SpooledTemporaryFile(_IN_MEMORY_BYTES) as copy:
        reader = io.TextIOWrapper(file, encoding, errors="replace", newline=None)
        for text in iter(lambda: reader.read(_PART_BYTES), ""):
            copy.write(text.removeprefix("\ufeff").encode())
        reader.detach()
        copy.seek(0)
        yield cast(BinaryIO, copy)


def encoding_of(file: BinaryIO) -> str:
    """The encoding of a text file: by its byte order mark, otherwise by all of its content.

    A file with more characters in UTF-8 than bytes that are not is UTF-8 with damaged places.
    """
    file.seek(0)
    head = file.read(_LINES_BYTES)
    if head.startswith(codecs.BOM_UTF8):
        return "utf-8"
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    # Of a table in UTF-16 without a mark, about every other byte is zero.
    if head[1::2].count(0) > len(head) // 4:
        return "utf-16-le"
    if head[::2].count(0) > len(head) // 4:
        return "utf-16-be"
    file.seek(0)
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    valid = broken = 0
    for part in iter(lambda: file.read(_PART_BYTES), b""):
        text = decoder.decode(part)
        replaced = text.count(REPLACED) - part.count(REPLACED.encode())
        broken += replaced
        valid += len(text) - len(text.encode("ascii", "ignore")) - replaced
    return "utf-8" if broken == 0 or valid > broken else "cp1252"
