"""Bodies, heads, photos and archives that once stopped a server, as small as they were."""

import io
import lzma
import struct
import tarfile
import zipfile
import zlib

from PIL import Image

BODY = b"{" + b",".join(b'"key%07d":0' % n for n in range(1_100_000)) + b"}"
"""15 MB of unknown keys."""
COOKIE = 'a="' + "\\" * 120_000
"""Which `http.cookies` takes a minute to read, before Python 3.11.10."""


def photos() -> list[bytes]:
    """A tile of 2 GB, scans that are empty, run lengths of 100 megapixels."""
    return [tiled_tiff(46_000), jpeg_of_empty_scans(1500), run_length_bmp(10_000)]


def archives() -> list[bytes]:
    """A dictionary of 1.5 GB behind a small one, and entries that overlap."""
    return [_huge_dictionary(), overlapping_zip(2000)]


def tiled_tiff(tile_side: int, *, compression: int = 5) -> bytes:
    """64 x 64 grey pixels in one tile of `tile_side` x `tile_side`; 5: LZW, 8: deflate."""
    pixels = zlib.compress(bytes(64 * 64)) if compression == 8 else b"\x80\x00\x20\x10"
    tags = {256: 64, 257: 64, 258: 8, 259: compression, 262: 1, 277: 1}
    tags |= {322: tile_side, 323: tile_side, 324: 8, 325: len(pixels)}
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags.items())
    directory = struct.pack("<H", len(tags)) + entries + bytes(4)
    return b"II*\0" + struct.pack("<I", 8 + len(pixels)) + pixels + directory


def jpeg_of_empty_scans(count: int, side: int = 5000) -> bytes:
    """A progressive JPEG whose last scan, which says nothing, comes `count` times."""
    flat = Image.new("L", (side, side), 90)
    file = io.BytesIO()
    flat.save(file, "JPEG", progressive=True)
    whole = file.getvalue()
    last = whole.rindex(b"\xff\xda")
    return whole[:last] + (count + 1) * whole[last:-2] + whole[-2:]


def run_length_bmp(side: int) -> bytes:
    """An 8-bit BMP in which every row ends behind its first pixel; the rest is filled up."""
    rows = side * b"\x01\x01\x00\x00" + b"\x00\x01"
    palette = bytes(range(256)) * 4
    header = struct.pack("<IiiHHIIiiII", 40, side, side, 1, 8, 1, len(rows), 0, 0, 256, 256)
    start = 14 + len(header) + len(palette)
    return struct.pack("<2sIHHI", b"BM", start + len(rows), 0, 0, start) + header + palette + rows


def _huge_dictionary() -> bytes:
    """A tar.xz of two streams; the second one's header names a dictionary of 1.5 GB."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as archive:
        member = tarfile.TarInfo("1.jpg")
        member.size = 40_000_000
        archive.addfile(member, io.BytesIO(bytes(member.size)))
    packed = bytearray(lzma.compress(file.getvalue()[1_000_000:]))
    packed[16] = 37
    size = 4 * packed[12] + 4
    packed[12 + size - 4 : 12 + size] = struct.pack("<I", zlib.crc32(packed[12 : 12 + size - 4]))
    return lzma.compress(file.getvalue()[:1_000_000]) + bytes(packed)


def overlapping_zip(count: int) -> bytes:
    """A zip whose directory has `count` entries of the same 8 MB of zeros."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("1.jpg", bytes(8_000_000))
    one = file.getvalue()
    at, end = one.index(b"PK\1\2"), one.index(b"PK\5\6")
    directory = count * one[at:end]
    ending = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, count, count, len(directory), at, 0)
    return one[:at] + directory + ending
