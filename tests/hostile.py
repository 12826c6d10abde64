"""Small pictures that take much memory or time to decode, each made of what its format allows."""

import io
import struct
import zlib
from collections.abc import Callable, Mapping

import pillow_heif
from PIL import Image

from bench import attack_files
from tests import pictures

_PATIENCE_FRAMES = 64
"""Blank frames that are looked at before an animation's first one is taken."""


def blank_animation(side: int, frames: int = _PATIENCE_FRAMES) -> bytes:
    """A GIF of blank frames."""
    still = pictures.encoded(Image.new("P", (side, side)), "GIF")
    first = 13 + (3 << (still[10] & 7) + 1)
    return still[:first] + frames * still[first:-1] + still[-1:]


def png_of_comments(count: int) -> bytes:
    """A small PNG with comments of 1 MB each, packed."""
    whole = pictures.encoded(pictures.noise(64, 64), "PNG")
    end = len(whole) - 12
    packed = zlib.compress(b"a" * 1_000_000, 9)
    chunks = [png_chunk(b"zTXt", b"c%d\0\0" % number + packed) for number in range(count)]
    return whole[:end] + b"".join(chunks) + whole[end:]


def png_chunk(kind: bytes, data: bytes) -> bytes:
    crc = zlib.crc32(kind + data)
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", crc)


def lying_heif(kind: str, width: int, height: int) -> bytes:
    """A HEIC or AVIF of 64 x 64 pixels, whose boxes state another size."""
    buffer = io.BytesIO()
    picture = pictures.noise(64, 64)
    if kind == "AVIF":
        picture.save(buffer, "AVIF", speed=10)
    else:
        pillow_heif.from_pillow(picture).save(buffer, quality=30)
    true, false = (b"ispe" + bytes(4) + struct.pack(">II", *s) for s in ((64, 64), (width, height)))
    assert true in buffer.getvalue()
    return buffer.getvalue().replace(true, false)


FILES: Mapping[str, Callable[[], bytes]] = {
    "TIFF of one LZW tile of 2 GB": lambda: attack_files.tiled_tiff(46_000),
    "TIFF of one deflated tile of 900 MB": lambda: attack_files.tiled_tiff(30_000, compression=8),
    "TIFF of a tile of all numbers": lambda: attack_files.tiled_tiff(0xFFFFFFF0),
    "JPEG of empty scans": lambda: attack_files.jpeg_of_empty_scans(1500),
    "JPEG of empty scans, small": lambda: attack_files.jpeg_of_empty_scans(60_000, side=640),
    "BMP of run lengths": lambda: attack_files.run_length_bmp(10_000),
    "GIF of blank frames": lambda: blank_animation(3000),
    "HEIC that states more": lambda: lying_heif("HEIF", 10_000, 10_000),
    "AVIF that states more": lambda: lying_heif("AVIF", 10_000, 10_000),
    "HEIC that states too much": lambda: lying_heif("HEIF", 0x7FFFFFFF, 0x7FFFFFFF),
}
"""Makers of files by what they are."""
