"""Reads the photos of a zip file: stored or deflated entries, in bounded memory."""

import re
import stat
import zlib
from collections.abc import Iterator
from contextlib import suppress
from typing import BinaryIO

import inflate64

from petsearch.domain import LeftOut, LeftOutReason
from petsearch.domain.errors import InvalidInput
from petsearch.domain.metadata import named_metadata
from petsearch.sources import cursor
from petsearch.sources.archive_limits import (
    OVERLAPPING,
    SUSPICIOUS,
    SUSPICIOUS_SUM,
    ArchiveLimits,
    refused_rest,
)
from petsearch.sources.names import (
    HEAD_BYTES,
    NESTED_ARCHIVE,
    NameKind,
    kind_of,
    reason_by_content,
)
from petsearch.sources.sidecars import MOST_BYTES, Sidecars
from petsearch.sources.source import SourceItem
from petsearch.sources.zip_directory import BrokenDirectory, ZipDirectory, ZipEntry, data_offset

_STORED, _DEFLATED, _DEFLATED_64 = _METHODS = (0, 8, 9)
_ENCRYPTED = 0x1 | 0x40 | 0x2000
_READ_BYTES = 64 * 1024
_SIDECAR_RATIO = 200
_SIDECAR_SUFFIX = re.compile(rb"\.(json|xmp)", re.IGNORECASE)
_READ_64_BYTES = 1024
"""Little at a time: deflate64 gives all that it unpacks at once, up to 1,000 times as much."""


def read_zip(
    file: BinaryIO,
    directory_file: BinaryIO,
    directory: ZipDirectory,
    limits: ArchiveLimits,
    after: str,
) -> Iterator[SourceItem | LeftOut]:
    """Iterate over the items after the cursor `after` ("" for all).

    The cursor has the entries read, the offset in the directory, and the sums so far.

    Args:
        directory_file: the same file, opened separately so that its directory is read sequentially.
    """
    index, offset, unpacked, packed = _unpack_cursor(after) if after else (0, directory.start, 0, 0)
    try:
        for entry in directory.entries(directory_file, offset):
            packed += entry.packed_bytes
            stop = _sums_refusal(limits, directory, index, unpacked, packed)
            if stop is not None:
                yield refused_rest(stop, index)
                return
            index += 1
            kind = kind_of(entry.name)
            if kind.is_folder:
                continue
            reason = kind.left_out or _reason_by_content(file, entry, kind)
            if reason is not None:
                yield LeftOut(entry.name, reason)
                continue
            data, refusal = _read_entry(file, entry, kind, limits)
            unpacked += len(data or b"")
            yield SourceItem(
                named_metadata(entry.name),
                cursor.pack(index, entry.next_offset, unpacked, packed),
                data=data,
                size_bytes=len(data) if data is not None else entry.unpacked_bytes,
                refusal=refusal,
            )
    except BrokenDirectory:
        yield refused_rest("its directory is broken there.", index)


def _unpack_cursor(after: str) -> tuple[int, int, int, int]:
    if after.count(":") == 2:  # of an earlier version, without the second sum
        index, offset, _ = cursor.unpack(after, 3)
        return index, offset, 0, 0
    index, offset, unpacked, packed = cursor.unpack(after, 4)
    return index, offset, unpacked, packed


def _sums_refusal(
    limits: ArchiveLimits,
    directory: ZipDirectory,
    entries: int,
    unpacked_bytes: int,
    packed_bytes: int,
) -> str | None:
    """Why no entry is read after so many, with so many bytes together; None if one may be."""
    if entries >= limits.entries:
        return limits.too_many_entries
    if packed_bytes > directory.start:
        return OVERLAPPING
    if unpacked_bytes > limits.total_bytes:
        return limits.total_too_large
    return SUSPICIOUS_SUM if limits.is_suspicious(unpacked_bytes, packed_bytes) else None


def zip_sidecars(file: BinaryIO, directory_file: BinaryIO, directory: ZipDirectory) -> Sidecars:
    """The sidecars in a zip file. If there are any, its directory is read twice to pair them.

    They are read for every photo that they belong to: twice their file in all, then no more.
    """
    entries: dict[str, ZipEntry] = {}
    room = 2 * directory.start

    def names() -> Iterator[str]:
        with suppress(BrokenDirectory):
            for entry in directory.entries(directory_file, directory.start):
                if kind_of(entry.name).left_out is LeftOutReason.SIDECAR:
                    entries[entry.name] = entry
                yield entry.name

    def read(name: str) -> bytes:
        nonlocal room
        entry = entries[name]
        if entry.flags & _ENCRYPTED or entry.method not in _METHODS or room < 0:
            raise InvalidInput("It cannot be unpacked.")
        # A broken one costs as much as it may have unpacked: it can be read again as often.
        most = max(entry.packed_bytes, MOST_BYTES // _SIDECAR_RATIO)
        room -= most
        data = _unpacked(file, entry, MOST_BYTES + 1)
        room += most - max(entry.packed_bytes, len(data) // _SIDECAR_RATIO)
        return data

    has_some = directory.contains(directory_file, _SIDECAR_SUFFIX)
    return Sidecars(names if has_some else tuple, read)


def count_photos(file: BinaryIO, directory: ZipDirectory, limits: ArchiveLimits) -> int:
    """About the number of items that `read_zip` yields: entries without a known suffix count."""
    count = 0
    try:
        for index, entry in enumerate(directory.entries(file, directory.start)):
            if index >= limits.entries:
                return count + 1
            kind = kind_of(entry.name)
            count += kind.left_out is None and not kind.is_folder
    except BrokenDirectory:
        return count + 1
    return count


def _reason_by_content(file: BinaryIO, entry: ZipEntry, kind: NameKind) -> LeftOutReason | None:
    """Why an entry whose name says nothing is no item; None if it is one, or may be."""
    if kind.is_known or kind.is_archive:
        return None
    if stat.S_IFMT(entry.unix_mode) not in (0, stat.S_IFREG):
        return LeftOutReason.SPECIAL
    if entry.flags & _ENCRYPTED or entry.method not in _METHODS:
        return None
    try:
        return reason_by_content(_unpacked(file, entry, HEAD_BYTES))
    except InvalidInput:
        return None


def _read_entry(
    file: BinaryIO, entry: ZipEntry, kind: NameKind, limits: ArchiveLimits
) -> tuple[bytes | None, str | None]:
    """The bytes, or the reason why there are none."""
    refusal = NESTED_ARCHIVE if kind.is_archive else _refusal(entry, limits)
    if refusal:
        return None, refusal
    try:
        return _unpack(file, entry), None
    except InvalidInput as error:
        return None, error.detail


def _refusal(entry: ZipEntry, limits: ArchiveLimits) -> str | None:
    """The reason not to read the entry; None if it is read."""
    if stat.S_IFMT(entry.unix_mode) not in (0, stat.S_IFREG):
        return "It is a link or a device, not a file."
    if entry.flags & _ENCRYPTED:
        return "It is encrypted; send it without a password."
    if entry.method not in _METHODS:
        return f"It is packed by method {entry.method}; only stored and deflated files are read."
    if entry.unpacked_bytes > limits.entry_bytes:
        return limits.entry_too_large
    if limits.is_suspicious(entry.unpacked_bytes, entry.packed_bytes):
        return SUSPICIOUS
    return None


def _unpack(file: BinaryIO, entry: ZipEntry) -> bytes:
    """Unpack an entry, at most one byte beyond its declared size.

    Raises:
        InvalidInput: the bytes do not match the directory, or are truncated.
    """
    data = _unpacked(file, entry, entry.unpacked_bytes + 1)
    if len(data) != entry.unpacked_bytes or zlib.crc32(data) != entry.crc:
        raise InvalidInput("It is damaged: its size or checksum does not match the archive.")
    return data


def _unpacked(file: BinaryIO, entry: ZipEntry, max_bytes: int) -> bytes:
    """The first `max_bytes` of an entry.

    Raises:
        InvalidInput: the directory points to something else, or they cannot be unpacked.
    """
    file.seek(data_offset(file, entry))
    if entry.method == _STORED:
        return file.read(min(entry.packed_bytes, max_bytes))
    if entry.method == _DEFLATED_64:
        return _inflate_64(file, entry.packed_bytes, max_bytes)
    return _inflate(file, entry.packed_bytes, max_bytes)


def _inflate_64(file: BinaryIO, packed_bytes: int, max_bytes: int) -> bytes:
    """Of Windows' Explorer, for archives of more than 2 GB."""
    unpacker, data = inflate64.Inflater(), bytearray()
    try:
        while packed_bytes and len(data) < max_bytes and not unpacker.eof:
            packed = file.read(min(packed_bytes, _READ_64_BYTES))
            if not packed:
                break
            packed_bytes -= len(packed)
            data += unpacker.inflate(packed)
    except ValueError as error:
        raise InvalidInput("It is damaged: it cannot be unpacked.") from error
    return bytes(data[:max_bytes])


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
