"""The boxes of HEIC and AVIF files (ISO/IEC 14496-12) that decide how the main picture is shown."""

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from petsearch.photos.formats import Buffer

BROKEN = (struct.error, IndexError, KeyError)
"""What reading boxes raises where one is cut off or missing."""
_MOST_BOXES = 4096
_UNSPECIFIED = 2


@dataclass(frozen=True)
class Nclx:
    """Colours as code points of ITU-T H.273."""

    primaries: int
    transfer: int


@dataclass(frozen=True)
class MainPicture:
    """What the file says of its primary item."""

    is_turned: bool
    """Whether the file has a rotation or mirroring of its own, which decoders apply."""
    nclx: Nclx | None
    exif: bytes | None
    """The EXIF of the file, from its TIFF header on."""


def main_picture(data: Buffer) -> MainPicture:
    """What the boxes of an encoded HEIC or AVIF say of its main picture."""
    try:
        properties = list(_properties_of_primary(data))
    except BROKEN:
        properties = []
    is_turned = any(kind in (b"irot", b"imir") for kind, _ in properties)
    colours = [body for kind, body in properties if kind == b"colr" and body[:4] == b"nclx"]
    has_profile = any(
        kind == b"colr" and body[:4] in (b"prof", b"rICC") for kind, body in properties
    )
    is_declared = bool(colours) and not has_profile and len(colours[0]) >= 10
    nclx = Nclx(*struct.unpack_from(">2H", colours[0], 4)) if is_declared else None
    try:
        exif = _exif(data)
    except BROKEN:
        exif = None
    return MainPicture(is_turned, nclx, exif)


def without_metadata(data: bytes) -> bytes:
    """The same file, in which readers find neither EXIF nor XMP, and no code points of colours.

    Of an animation that is cut off they read the still beside it.
    """
    changed = bytearray(data)
    _, _, end = list(_boxes(data, 0, len(data)))[-1]
    if end < len(data):
        # The main brand tells which of the two is read.
        changed[8:12] = changed[8:12].replace(b"avis", b"avif")
    for _, kind, at in _items(data):
        if kind in (b"Exif", b"mime"):
            changed[at : at + 4] = b"skip"
    properties = _within(data, _within_meta(data).get(b"iprp", (0, 0))).get(b"ipco", (0, 0))
    for kind, at, _ in _boxes(data, *properties):
        if kind == b"colr" and data[at : at + 4] == b"nclx":
            changed[at + 4 : at + 8] = struct.pack(">HH", _UNSPECIFIED, _UNSPECIFIED)
    return bytes(changed)


def _items(data: Buffer) -> Iterator[tuple[int, bytes, int]]:
    """Number and type of each item, and where its type is written."""
    start, end = _within_meta(data).get(b"iinf", (0, 0))
    if start == end:
        return
    for entry, begin, _ in _boxes(data, start + (6 if data[start] == 0 else 8), end):
        if entry != b"infe" or data[begin] < 2:
            continue
        # Version and flags, item number (2 or 4 bytes), protection index (2), type.
        wide = data[begin] >= 3
        (number,) = struct.unpack_from(">I" if wide else ">H", data, begin + 4)
        at = begin + (10 if wide else 8)
        yield number, data[at : at + 4], at


def _exif(data: Buffer) -> bytes | None:
    for number, kind, _ in _items(data):
        if kind == b"Exif":
            stored = b"".join(data[at : at + size] for at, size in _extents(data, number))
            # The first four bytes say how far behind them the TIFF header begins.
            return stored[4 + struct.unpack_from(">I", stored)[0] :]
    return None


def _extents(data: Buffer, item: int) -> Iterator[tuple[int, int]]:
    """Offset and length of each part of an item's data that lies in the file itself."""
    at, _ = _within_meta(data)[b"iloc"]
    version, sizes = data[at], struct.unpack_from(">H", data, at + 4)[0]
    offset_size, length_size, base_size, index_size = (
        sizes >> 12,
        sizes >> 8 & 15,
        sizes >> 4 & 15,
        sizes & 15 if version else 0,
    )
    wide = version >= 2
    (count,) = struct.unpack_from(">I" if wide else ">H", data, at + 6)
    at += 10 if wide else 8
    for _ in range(min(count, _MOST_BOXES)):
        (number,) = struct.unpack_from(">I" if wide else ">H", data, at)
        at += (4 if wide else 2) + (2 if version else 0) + 2
        base = int.from_bytes(data[at : at + base_size], "big")
        (extents,) = struct.unpack_from(">H", data, at + base_size)
        at += base_size + 2
        for _ in range(extents):
            at += index_size
            offset = int.from_bytes(data[at : at + offset_size], "big")
            at += offset_size
            if number == item:
                yield base + offset, int.from_bytes(data[at : at + length_size], "big")
            at += length_size


def _properties_of_primary(data: Buffer) -> Iterator[tuple[bytes, bytes]]:
    found = _within_meta(data)
    if b"pitm" not in found or b"iprp" not in found:
        return
    start, _ = found[b"pitm"]
    (primary,) = struct.unpack_from(">H" if data[start] == 0 else ">I", data, start + 4)
    parts = _within(data, found[b"iprp"])
    properties = [(kind, data[start:end]) for kind, start, end in _boxes(data, *parts[b"ipco"])]
    for index in _associations(data, parts[b"ipma"][0], primary):
        if 0 < index <= len(properties):
            yield properties[index - 1]


def _associations(data: Buffer, at: int, item: int) -> Iterator[int]:
    version, flags = data[at], data[at + 3]
    (entries,) = struct.unpack_from(">I", data, at + 4)
    at += 8
    for _ in range(min(entries, _MOST_BOXES)):
        (number,) = struct.unpack_from(">H" if version == 0 else ">I", data, at)
        at += 2 if version == 0 else 4
        count = data[at]
        at += 1
        for _ in range(count):
            # The highest bit says whether readers must know the property.
            wide = bool(flags & 1)
            index = struct.unpack_from(">H", data, at)[0] & 0x7FFF if wide else data[at] & 0x7F
            at += 2 if wide else 1
            if number == item:
                yield index


def _within_meta(data: Buffer) -> dict[bytes, tuple[int, int]]:
    """Where the content of each box in the meta box begins and ends."""
    for kind, start, end in _boxes(data, 0, len(data)):
        if kind == b"meta":
            # Behind its version and flags.
            return _within(data, (start + 4, end))
    return {}


def _within(data: Buffer, span: tuple[int, int]) -> dict[bytes, tuple[int, int]]:
    return {kind: (start, end) for kind, start, end in _boxes(data, *span)}


def _boxes(data: Buffer, start: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    for _ in range(_MOST_BOXES):
        if start + 8 > end:
            return
        size, kind = struct.unpack_from(">I4s", data, start)
        header = 8
        if size == 1:
            (size,) = struct.unpack_from(">Q", data, start + 8)
            header = 16
        elif size == 0:
            size = end - start
        if size < header or start + size > end:
            return
        yield kind, start + header, start + size
        start += size
