"""Pictures that tests make: drawn here, so that no file is needed."""

import io
import struct
import zlib

import numpy as np
from PIL import Image

GPS_LATITUDE = (48.0, 51.0, 29.6)
SECRET = "home-address-in-a-comment"


def noise(width: int, height: int, seed: int = 0) -> Image.Image:
    """A smooth coloured picture; another one for every seed."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (6, 6, 3), dtype=np.uint8)
    return Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)


def encoded(picture: Image.Image, kind: str = "JPEG", **options: object) -> bytes:
    """`picture` as a file of a kind that Pillow knows."""
    buffer = io.BytesIO()
    picture.save(buffer, kind, **options)
    return buffer.getvalue()


def jpeg(seed: int = 0, width: int = 120, height: int = 90) -> bytes:
    """A small JPEG; other bytes for every seed."""
    return encoded(noise(width, height, seed), quality=90)


def jpeg_with_gps(seed: int = 0) -> bytes:
    """A JPEG as a phone writes it: GPS position, a comment and an orientation."""
    exif = Image.Exif()
    exif[0x0112] = 6
    exif[0x010E] = SECRET
    exif.get_ifd(0x8825)[2] = GPS_LATITUDE
    return encoded(noise(160, 90, seed), exif=exif, comment=SECRET.encode(), quality=90)


def phone_photo(
    seed: int,
    kind: str = "JPEG",
    date: str = "2025:05:17 10:00:05",
    size: tuple[int, int] = (120, 90),
) -> bytes:
    """A photo with a date and a place."""
    exif = Image.Exif()
    exif[0x010F] = "Phone"
    exif.get_ifd(0x8769)[0x9003] = date
    exif.get_ifd(0x8825).update({1: "N", 2: (48.0, 8.0, 15.0), 3: "E", 4: (11.0, 34.0, 30.0)})
    return encoded(noise(*size, seed), kind, exif=exif)


def huge_png_header(side: int = 50_000) -> bytes:
    """A few hundred bytes that declare a picture of `side` x `side` pixels."""
    return _png(side, side, 2, zlib.compress(bytes(1000)))


def clear_png(width: int, height: int) -> bytes:
    """A transparent black RGBA picture, made without holding its pixels."""
    packer = zlib.compressobj(1)
    row = bytes(1 + 4 * width)
    packed = b"".join(packer.compress(row) for _ in range(height)) + packer.flush()
    return _png(width, height, 6, packed)


def _png(width: int, height: int, colour_type: int, packed: bytes) -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        checksum = zlib.crc32(kind + data)
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", checksum)

    header = struct.pack(">IIBBBBB", width, height, 8, colour_type, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", packed) + chunk(b"IEND", b"")
    )


HTML = b"<!doctype html><html><body><script>alert(1)</script></body></html>"
