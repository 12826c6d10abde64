"""The photos of a zip file: stored or deflated entries, each read with a bound."""

import stat
import zlib
from collections.abc import Iterator
from typing import BinaryIO

from petsearch.domain import ImageMetadata
from petsearch.domain.errors import InvalidInput
from petsearch.domain.metadata import safe_filename
from petsearch.sources import cursor
from petsearch.sources.archive_limits import SUSPICIOUS, ArchiveLimits, rest_refused
from petsearch.sources.names import NameKind, kind_of
from petsearch.sources.source import SourceItem
from petsearch.sources.zip_directory import BrokenDirectory, ZipDirectory, ZipEntry, data_offset

_STORED, _DEFLATED = 0, 8
_ENCRYPTED = 0x1 | 0x40 | 0x2000
_READ_BYTES = 64 * 1024


def read_zip(
    file: BinaryIO, own_file: BinaryIO, directory: ZipDirectory, limits: ArchiveLimits, after: str
) -> Iterator[SourceItem | None]:
    """Items after the cursor `after` ("" for all); None for each entry that is passed over.

    The cursor holds entries read, the place in the directory, and bytes unpacked so far.

    Args:
        own_file: the same file opened once more, so that reading the directory stays sequential.
    """
    index, offset, unpacked = cursor.unpack(after, 3) if after else (0, directory.start, 0)
    try:
        for entry in directory.entries(own_file, offset):
            if index >= limits.entries:
                yield rest_refused(f"it holds more than {limits.entries} entries.", index)
                return
            index += 1
            kind = kind_of(entry.name)
            if kind is NameKind.PASSED_OVER:
                yield None
                continue
            data, refusal = _read_entry(file, entry, kind, limits)
            unpacked += len(data or b"")
            if unpacked > limits.total_bytes:
                more = f"it unpacks to more than {limits.total_bytes / 1e9:g} GB."
                yield rest_refused(more, index - 1)
                return
            yield SourceItem(
                ImageMetadata(filename=safe_filename(entry.name)),
                cursor.pack(index, entry.next_offset, unpacked),
                data=data,
                size_bytes=len(data) if data is not None else entry.unpacked_bytes,
                refusal=refusal,
            )
    except BrokenDirectory:
        yield rest_refused("its directory is broken there.", index)


def count_photos(file: BinaryIO, directory: ZipDirectory, limits: ArchiveLimits) -> int:
    """How many items `read_zip` gives, if no limit stops it early."""
    count = 0
    try:
        for index, entry in enumerate(directory.entries(file, directory.start)):
            if index >= limits.entries:
                return count + 1
            count += kind_of(entry.name) is not NameKind.PASSED_OVER
    except BrokenDirectory:
        return count + 1
    return count


def _read_entry(
    file: BinaryIO, entry: ZipEntry, kind: NameKind, limits: ArchiveLimits
) -> tuple[bytes | None, str | None]:
    """The bytes, or why there are none."""
    refusal = kind.refusal or _refusal(entry, limits)
    if refusal:
        return None, refusal
    try:
        return _unpack(file, entry), None
    except InvalidInput as error:
        return None, error.detail


def _refusal(entry: ZipEntry, limits: ArchiveLimits) -> str | None:
    """Why the entry is not even read."""
    if stat.S_IFMT(entry.unix_mode) not in (0, stat.S_IFREG):
        return "It is a link or a device, not a file."
    if entry.flags & _ENCRYPTED:
        return "It is encrypted; send it without a password."
    if entry.method not in (_STORED, _DEFLATED):
        return f"It is packed by method {entry.method}; only stored and deflated files are read."
    if entry.unpacked_bytes > limits.entry_bytes:
        return limits.entry_too_large
    if limits.is_suspicious(entry.unpacked_bytes, entry.packed_bytes):
        return SUSPICIOUS
    return None


def _unpack(file: BinaryIO, entry: ZipEntry) -> bytes:
    """The bytes of an entry, never more than one above what it declares.

    Raises:
        InvalidInput: they are not what the directory declares, or are cut off.
    """
    file.seek(data_offset(file, entry))
    if entry.method == _STORED:
        data = file.read(min(entry.packed_bytes, entry.unpacked_bytes + 1))
    else:
        data = _inflate(file, entry.packed_bytes, entry.unpacked_bytes + 1)
    if len(data) != entry.unpacked_bytes or zlib.crc32(data) != entry.crc:
        raise InvalidInput("It is damaged: its size or checksum is not what the archive says.")
    return data


def _inflate(file: BinaryIO, packed_bytes: int, max_bytes: int) -> bytes:
    unpacker = zlib.decompressobj(-zlib.MAX_WBITS)
    data = bytearray()
    try:
        while packed_bytes and len(data) < max_bytes and not unpacker.eof:
            packed = file.read(min(packed_bytes, _READ_BYTES))
            if not packed:
                break
            packed_bytes -= len(packed)
            data += unpacker.decompress(packed, max_bytes - len(data))
    except zlib.error as error:
        raise InvalidInput("It is damaged: it cannot be unpacked.") from error
    return bytes(data)
