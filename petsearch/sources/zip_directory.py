"""Reads the directory of a zip file entry by entry.

`zipfile` reads the whole directory before the first entry: 20 s and 480 MB for a million entries,
and again for every window of a job (docs/adr/0010). Fields: PKWARE APPNOTE 6.3, section 4.3.
"""

import io
import re
import struct
import zlib
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import BinaryIO

from petsearch.domain.errors import InvalidInput
from petsearch.domain.metadata import LONGEST_PATH

_END = struct.Struct("<4s4H2LH")
_END_64 = struct.Struct("<4sQ2H2L4Q")
_LOCATOR_64 = struct.Struct("<4sLQL")
_ENTRY = struct.Struct("<4s6H3L5H2L")
_ENTRY_SIGNATURE = b"PK\x01\x02"
_LOCAL = struct.Struct("<4s5H3L2H")
_SEARCHED_BYTES = 256 * 1024
_LONGEST_PATTERN = 16
_LONGEST_COMMENT = 0xFFFF
_IN_EXTRA_32 = 0xFFFFFFFF
_ZIP64_EXTRA, _UNICODE_PATH_EXTRA = 1, 0x7075
_UTF_8 = 0x800
_HALF = re.compile(rb"(?<=[\x81-\xfe])\\")
"""A backslash that can be half of a character in Shift-JIS, GBK or Big5: it separates nothing."""
_UNIX_SYSTEMS = (3, 19)  # Unix, macOS


class BrokenDirectory(Exception):
    """The directory is broken from here on. Not raised outside the zip modules."""


@dataclass(frozen=True)
class ZipEntry:
    """An entry as the directory declares it; the file may differ."""

    name: str
    raw_name: bytes
    flags: int
    method: int
    unix_mode: int
    """0 if the archive was not made on Unix."""
    crc: int
    packed_bytes: int
    unpacked_bytes: int
    header_offset: int
    most_wraps: int
    """How often 2³² may be missing in `header_offset`."""
    next_offset: int
    """The offset of the next entry in the directory."""


@dataclass(frozen=True)
class ZipDirectory:
    """The position of the directory in its file."""

    start: int
    end: int
    shift: int
    """The number of bytes in front of the zip file proper, which its offsets do not count."""
    wraps: int = 0
    """How often 2³² may be missing in its offsets: Finder writes no ZIP64 records."""

    def begins(self, file: BinaryIO) -> bool:
        """Whether there is an entry at its start."""
        file.seek(self.start)
        return file.read(len(_ENTRY_SIGNATURE)) == _ENTRY_SIGNATURE

    def contains(self, file: BinaryIO, pattern: re.Pattern[bytes]) -> bool:
        """Whether a pattern of few bytes is in the directory, which is searched in blocks."""
        file.seek(self.start)
        before, left = b"", self.end - self.start
        while left > 0 and (block := file.read(min(_SEARCHED_BYTES, left))):
            if pattern.search(before + block):
                return True
            before, left = block[-_LONGEST_PATTERN:], left - len(block)
        return False

    def entries(self, file: BinaryIO, offset: int) -> Iterator[ZipEntry]:
        """Iterate over the entries from `offset`.

        Raises:
            BrokenDirectory: there is no entry at an offset.
        """
        while offset < self.end:
            file.seek(offset)
            entry = self._entry(file, offset)
            yield entry
            offset = entry.next_offset

    def _entry(self, file: BinaryIO, offset: int) -> ZipEntry:
        fixed = file.read(_ENTRY.size)
        if len(fixed) < _ENTRY.size or fixed[:4] != _ENTRY_SIGNATURE:
            raise BrokenDirectory
        fields = _ENTRY.unpack(fixed)
        flags, method = fields[3], fields[4]
        crc, packed, unpacked = fields[7:10]
        name_size, extra_size, comment_size = fields[10:13]
        attributes, header_offset = fields[15:17]
        rest = file.read(name_size + extra_size)
        if len(rest) < name_size + extra_size:
            raise BrokenDirectory
        unpacked, packed, header_offset = _widen(
            rest[name_size:], (unpacked, packed, header_offset)
        )
        if packed > self.start:
            raise BrokenDirectory
        return ZipEntry(
            name=_name_of(rest[:name_size], rest[name_size:], is_utf_8=bool(flags & _UTF_8)),
            raw_name=rest[:name_size],
            flags=flags,
            method=method,
            unix_mode=attributes >> 16 if fields[1] >> 8 in _UNIX_SYSTEMS else 0,
            crc=crc,
            packed_bytes=packed,
            unpacked_bytes=unpacked,
            # No file can be read from the largest of the offsets that ZIP64 has.
            header_offset=min(header_offset + self.shift, self.end),
            most_wraps=self.wraps,
            next_offset=offset + _ENTRY.size + name_size + extra_size + comment_size,
        )


def find_directory(file: BinaryIO) -> ZipDirectory | None:
    """Find the directory; None if this is not a zip file.

    Raises:
        InvalidInput: the file is truncated, or one part of a multi-part zip file.
    """
    size = file.seek(0, io.SEEK_END)
    tail_start = max(0, size - _LONGEST_COMMENT - _END.size)
    file.seek(tail_start)
    tail = file.read()
    found: list[ZipDirectory | None] = []
    limit = max(0, len(tail) - _END.size + 4)
    while (at := tail.rfind(b"PK\x05\x06", 0, limit)) >= 0:
        limit = at + 3
        directory = _directory_at(file, tail_start + at, tail[at : at + _END.size])
        if directory is not None and directory.begins(file):
            return directory
        found.append(directory)
    if found and found[0] is None:
        raise InvalidInput(
            "The zip file is cut off, or one part of several; send it whole, in one file."
        )
    return found[0] if found else None


def _directory_at(file: BinaryIO, end: int, record: bytes) -> ZipDirectory | None:
    """The directory that the record at `end` states; None if the file does not hold it.

    The comment behind the record can hold what looks like one.
    """
    _, disk, _, _, _, length, offset, _ = _END.unpack(record)
    wide = _find_wide(file, end)
    if wide:
        end, disk, length, offset = wide
    start = end - length
    if disk or start < offset:
        return None
    wraps, rest = divmod(start - offset, 1 << 32)
    if wraps and not rest and not wide:
        return ZipDirectory(start, end, shift=0, wraps=wraps)
    return ZipDirectory(start, end, shift=start - offset)


def _find_wide(file: BinaryIO, end: int) -> tuple[int, int, int, int] | None:
    """(end, disk, length, offset) of the directory, from the ZIP64 records of a large file.

    The first record is right before the second one, or where that says: it can be longer.
    """
    locator_at = end - _LOCATOR_64.size
    latest = locator_at - _END_64.size
    if latest < 0:
        return None
    file.seek(locator_at)
    signature, _, stated, _ = _LOCATOR_64.unpack(file.read(_LOCATOR_64.size))
    if signature != b"PK\x06\x07":
        return None
    for at in (latest, min(stated, latest)):
        file.seek(at)
        signature, _, _, _, disk, _, _, _, length, offset = _END_64.unpack(file.read(_END_64.size))
        if signature == b"PK\x06\x06":
            return at, disk, length, offset
    return None


def data_offset(file: BinaryIO, entry: ZipEntry) -> int:
    """The offset of the packed bytes of `entry`.

    Raises:
        InvalidInput: the directory points to something else.
    """
    for wraps in range(entry.most_wraps + 1):
        offset = entry.header_offset + (wraps << 32)
        file.seek(offset)
        header = file.read(_LOCAL.size + len(entry.raw_name))
        if len(header) < _LOCAL.size or header[:4] != b"PK\x03\x04":
            continue
        if entry.most_wraps and header[_LOCAL.size :] != entry.raw_name:
            continue
        name_size, extra_size = _LOCAL.unpack(header[: _LOCAL.size])[9:11]
        return offset + _LOCAL.size + int(name_size) + int(extra_size)
    raise InvalidInput("It is damaged: the archive points to something else.")


def _widen(extra: bytes, values: tuple[int, int, int]) -> tuple[int, int, int]:
    """(unpacked, packed, header offset), with values beyond 32 bits taken from `extra`."""
    if _IN_EXTRA_32 not in values:
        return values
    found = _extra_field(extra, _ZIP64_EXTRA)
    wide = []
    for value in values:
        if value == _IN_EXTRA_32:
            if len(found) < 8:
                raise BrokenDirectory
            value, found = int.from_bytes(found[:8], "little"), found[8:]
        wide.append(value)
    return wide[0], wide[1], wide[2]


def _name_of(raw: bytes, extra: bytes, *, is_utf_8: bool) -> str:
    """The name of an entry, of which the end is kept.

    Info-ZIP's Unicode Path field counts if it was made for this name. Many programs write UTF-8
    without its flag, and text in code page 437 is hardly ever valid UTF-8. Other encodings do not
    say so; only what they take for a backslash matters, at which names are divided.
    """
    unicode_path = _extra_field(extra, _UNICODE_PATH_EXTRA)
    if unicode_path[:5] == b"\x01" + zlib.crc32(raw).to_bytes(4, "little"):
        return unicode_path[5:].decode("utf-8", "replace")[-LONGEST_PATH:]
    with suppress(UnicodeDecodeError):
        return raw.decode("utf-8")[-LONGEST_PATH:]
    if _HALF.search(raw):
        with suppress(UnicodeDecodeError):
            if "\\" not in (name := raw.decode("cp932")):
                return name[-LONGEST_PATH:]
        raw = _HALF.sub(b"_", raw)
    return raw.decode("utf-8" if is_utf_8 else "cp437", "replace")[-LONGEST_PATH:]


def _extra_field(extra: bytes, wanted: int) -> bytes:
    at = 0
    while len(extra) >= at + 4:
        kind, size = struct.unpack_from("<HH", extra, at)
        if kind == wanted:
            return extra[at + 4 : at + 4 + size]
        at += 4 + size
    return b""
