"""The boxes of HEIC and AVIF files (ISO/IEC 14496-12) that decide how the main picture is shown."""

import mmap
import struct
from collections.abc import Iterator
from dataclasses import dataclass

Buffer = bytes | mmap.mmap
"""A file, or a file mapped into memory."""

_MOST_BOXES = 4096


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


def main_picture(data: Buffer) -> MainPicture:
    """What the boxes of an encoded HEIC or AVIF say of its main picture."""
    try:
        properties = list(_properties_of_primary(data))
    except (struct.error, IndexError):
        properties = []
    is_turned = any(kind in (b"irot", b"imir") for kind, _ in properties)
    colours = [body for kind, body in properties if kind == b"colr" and body[:4] == b"nclx"]
    has_profile = any(
        kind == b"colr" and body[:4] in (b"prof", b"rICC") for kind, body in properties
    )
    nclx = None
    if colours and not has_profile and len(colours[0]) >= 10:
        nclx = Nclx(*struct.unpack_from(">2H", colours[0], 4))
    return MainPicture(is_turned, nclx)


def without_metadata(data: bytes) -> bytes:
    """The same file, in which no reader finds EXIF or XMP items: their types are renamed."""
    renamed = bytearray(data)
    for kind, start, end in _boxes(data, *_span(data, b"meta", full=True)):
        if kind != b"iinf":
            continue
        version = data[start]
        first = start + (6 if version == 0 else 8)
        for entry, begin, _ in _boxes(data, first, end):
            # infe: version and flags, item id (2 or 4 bytes), protection index, type.
            at = begin + 4 + (2 if data[begin] < 3 else 4) + 2
            if entry == b"infe" and data[begin] >= 2 and data[at : at + 4] in (b"Exif", b"mime"):
                renamed[at : at + 4] = b"skip"
    return bytes(renamed)


def _properties_of_primary(data: Buffer) -> Iterator[tuple[bytes, bytes]]:
    meta = _span(data, b"meta", full=True)
    found = {kind: (start, end) for kind, start, end in _boxes(data, *meta)}
    if b"pitm" not in found or b"iprp" not in found:
        return
    start, _ = found[b"pitm"]
    (primary,) = struct.unpack_from(">H" if data[start] == 0 else ">I", data, start + 4)
    parts = {kind: (start, end) for kind, start, end in _boxes(data, *found[b"iprp"])}
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


def _span(data: Buffer, wanted: bytes, *, full: bool) -> tuple[int, int]:
    """Where the content of a box of the top level begins and ends; nothing if there is none.

    Args:
        full: whether version and flags come before the content.
    """
    for kind, start, end in _boxes(data, 0, len(data)):
        if kind == wanted:
            return start + (4 if full else 0), end
    return 0, 0


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
