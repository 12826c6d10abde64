"""Files without the parts that a picture does not need: what is broken of these is cut out.

A decoder may refuse a whole file for its comments, its profile, a checksum of either, or a later
frame of an animation that is cut off. Each function returns the bytes that hold the pixels alone,
with orientation and colours where those parts are whole.
"""

import re
import struct
import zlib
from collections.abc import Callable, Iterator

from petsearch.photos import boxes
from petsearch.photos.formats import Buffer

_PNG = b"\x89PNG\r\n\x1a\n"
_PNG_KEPT = frozenset(
    b"IHDR PLTE IDAT IEND tRNS gAMA cHRM sRGB cICP eXIf iCCP acTL fcTL fdAT".split(),
)
_PNG_SIZES = {b"gAMA": 4, b"cHRM": 32, b"sRGB": 1, b"cICP": 4, b"acTL": 8}
"""Of optional chunks; decoders refuse the file of one that is shorter."""
_COLOUR_KEY_SIZES = {0: (2,), 2: (6,), 3: range(1, 257)}
"""Of tRNS, by the picture's colour type."""
_LARGEST_PROFILE = 1_000_000
_DEFLATED = b"\0"
"""The only method by which a profile in a PNG may be compressed."""
_BMP_HEADER, _BMP_V5_BYTES = 14, 124
_BMP_EMBEDDED = b"DEBM"
# APP0: JFIF; APP14: Adobe's colour transform. Those of EXIF and ICC are looked at one by one.
_JPEG_KEPT = (0xE0, 0xEE)
_JPEG_KEPT_HEADS = (b"Exif\0\0", b"ICC_PROFILE\0")
JPEG_APPS, JPEG_COMMENT, JPEG_SCAN = range(0xE0, 0xF0), 0xFE, 0xDA
_JPEG_MARKER = re.compile(rb"\xff[^\x00\xff]")


def pixels_alone(data: bytes) -> bytes | None:
    """The file without its optional parts; None for a format that has none, or nothing to cut."""
    for head, cut in _CUTS:
        if data.startswith(head) or (head == b"ftyp" and data[4:8] == head):
            try:
                found = cut(data)
            except boxes.BROKEN:
                return None
            return found if found != data else None
    return None


def png_code_points(data: Buffer) -> boxes.Nclx | None:
    """What a PNG's cICP chunk says of its colours, which counts more than its other chunks."""
    at = len(_PNG)
    while at + 12 <= len(data):
        size, kind = struct.unpack_from(">I4s", data, at)
        if kind == b"cICP" and size == _PNG_SIZES[kind]:
            return boxes.Nclx(data[at + 8], data[at + 9])
        if kind == b"IDAT":
            return None
        at += 12 + size
    return None


def png_bits(head: bytes) -> int | None:
    """The bits of a sample in a PNG that begins with `head`; None for other files."""
    return head[24] if head.startswith(_PNG) else None


def bmp_profile(data: Buffer) -> bytes | None:
    """The ICC profile that lies in a BMP of version 5."""
    header = data[_BMP_HEADER : _BMP_HEADER + _BMP_V5_BYTES]
    if len(header) < _BMP_V5_BYTES or header[56:60] != _BMP_EMBEDDED:
        return None
    size, start, length = struct.unpack("<I108x2I4x", header)
    at = _BMP_HEADER + start
    return bytes(data[at : at + length]) if size >= _BMP_V5_BYTES else None


def jpeg_segments(data: Buffer) -> Iterator[tuple[int, bytes]]:
    """Marker and bytes of each segment of a JPEG; to the last, its first scan, belongs the rest.

    Bytes that belong to no segment are passed over, as decoders do.
    """
    at = 2
    while found := _JPEG_MARKER.search(data, at):
        at, marker = found.start(), found[0][1]
        size = int.from_bytes(data[at + 2 : at + 4], "big")
        end = len(data) if marker == JPEG_SCAN else at + 2 + size
        yield marker, data[at:end]
        at = end


def _png(data: bytes) -> bytes:
    kept, colour_type = [_PNG], data[25]
    for kind, body, checksum in _png_chunks(data):
        critical = not kind[0] & 0x20
        whole = zlib.crc32(kind + body) == checksum
        if kind in _PNG_KEPT and (critical or (whole and _is_harmless(kind, body, colour_type))):
            kept.append(struct.pack(">I", len(body)) + kind + body + struct.pack(">I", checksum))
    return b"".join(kept)


def _is_harmless(kind: bytes, body: bytes, colour_type: int) -> bool:
    if kind == b"tRNS":
        return len(body) in _COLOUR_KEY_SIZES.get(colour_type, ())
    if kind != b"iCCP":
        return len(body) == _PNG_SIZES.get(kind, len(body))
    method, packed = body.partition(b"\0")[2][:1], body.partition(b"\0")[2][1:]
    try:
        profile = zlib.decompressobj().decompress(packed, _LARGEST_PROFILE)
    except zlib.error:
        return False
    return method == _DEFLATED and 128 <= len(profile) < _LARGEST_PROFILE


def _png_chunks(data: bytes) -> Iterator[tuple[bytes, bytes, int]]:
    at = len(_PNG)
    while at + 12 <= len(data):
        size, kind = struct.unpack_from(">I4s", data, at)
        end = at + 8 + size
        if end + 4 > len(data):
            return
        yield kind, data[at + 8 : end], struct.unpack_from(">I", data, end)[0]
        at = end + 4


def _webp(data: bytes) -> bytes:
    kept = b""
    at = 12
    while at + 8 <= len(data):
        kind, size = struct.unpack_from("<4sI", data, at)
        body = data[at + 8 : at + 8 + size]
        if kind == b"ANMF" and len(body) < size:
            break
        if kind == b"VP8X":
            # Flags: animation and alpha stay, the profile (0x20), EXIF (8) and XMP (4) go.
            body = bytes([body[0] & 0x12]) + body[1:]
        if kind in (b"VP8X", b"VP8 ", b"VP8L", b"ALPH", b"ANIM", b"ANMF"):
            kept += struct.pack("<4sI", kind, len(body)) + body + b"\0" * (len(body) % 2)
        at += 8 + size + size % 2
    return b"RIFF" + struct.pack("<I", 4 + len(kept)) + b"WEBP" + kept


def _jpeg(data: bytes) -> bytes:
    kept = [data[:2]]
    for marker, segment in jpeg_segments(data):
        optional = marker in JPEG_APPS or marker == JPEG_COMMENT
        if not optional or marker in _JPEG_KEPT or segment[4:].startswith(_JPEG_KEPT_HEADS):
            kept.append(segment)
    return b"".join(kept)


_CUTS: tuple[tuple[bytes, Callable[[bytes], bytes]], ...] = (
    (_PNG, _png),
    (b"RIFF", _webp),
    (b"\xff\xd8", _jpeg),
    (b"ftyp", boxes.without_metadata),
)
