"""A folder of awkward files, as other people's bug trackers describe them, by kind."""

import io
import json
import struct
import zipfile
import zlib
from collections.abc import Mapping

import numpy as np
from PIL import Image, TiffImagePlugin

from petsearch.photos.opening import register_formats
from tests import icc, pictures

P3 = icc.rgb_profile(icc.P3_PRIMARIES, icc.srgb_curve())
END = b"\xff\xd9"
NOT_UTF_8 = "names/caf\udce9.jpg"
"""The Latin-1 name `café.jpg`, as Python reads it from a disk."""


def _photo(kind: str = "JPEG", *, seed: int, **options: object) -> bytes:
    register_formats()
    return pictures.encoded(pictures.noise(320, 240, seed), kind, **options)


def _with_chunk(data: bytes, kind: bytes, body: bytes, *, is_broken: bool = False) -> bytes:
    """A PNG with a chunk before its pixels."""
    checksum = zlib.crc32(kind + body) ^ is_broken
    chunk = struct.pack(">I", len(body)) + kind + body + struct.pack(">I", checksum)
    at = data.index(b"IDAT") - 4
    return data[:at] + chunk + data[at:]


def _exif(orientation: int, date: str = "") -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = orientation
    if date:
        exif.get_ifd(0x8769)[0x9003] = date
    return exif


def _hole(data: bytes) -> bytes:
    """A JPEG with a block of zeros in its pixels."""
    at = data.index(b"\xff\xda") + (len(data) - data.index(b"\xff\xda")) * 7 // 10
    return data[:at] + bytes(1024) + data[at + 1024 :]


def _cut(data: bytes, share: float) -> bytes:
    start = data.index(b"\xff\xda")
    return data[: start + int((len(data) - start) * share)] + END


def _alpha(picture: Image.Image, alpha: int) -> Image.Image:
    clear = picture.copy()
    clear.putalpha(alpha)
    return clear


def _cut_out() -> Image.Image:
    """A light animal on transparency."""
    picture = Image.new("RGBA", (200, 200), (0, 0, 0, 0))
    picture.paste((250, 248, 240, 255), (50, 50, 150, 150))
    return picture


def _white_is_zero() -> bytes:
    info = TiffImagePlugin.ImageFileDirectory_v2()
    info[262] = 0
    ramp = np.tile(np.linspace(65535, 0, 256).astype(np.uint16), (64, 1))
    return pictures.encoded(Image.fromarray(ramp), "TIFF", tiffinfo=info)


def _ramp16() -> bytes:
    ramp = np.tile(np.linspace(0, 65535, 256).astype(np.uint16), (64, 1))
    return pictures.encoded(Image.fromarray(ramp), "PNG")


def _several(kind: str, *pages: Image.Image, **options: object) -> bytes:
    register_formats()
    first, *rest = pages
    return pictures.encoded(first, kind, save_all=True, append_images=rest, **options)


def _zip(name: str, data: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr(name, data)
    return file.getvalue()


def awkward_files() -> Mapping[str, tuple[int, bytes]]:
    """By path: the number of its kind, and its bytes. Last parts of paths are unique."""
    blank, noise = Image.new("RGB", (320, 240), "white"), pictures.noise
    takeout = {"title": "dated.jpg", "photoTakenTime": {"timestamp": "1715940000"}}
    video = b"\0\0\0\x18ftypqt  " + bytes(300)
    return {
        "colour/p3.jpg": (1, _photo(seed=1, icc_profile=P3, quality=95)),
        "colour/p3.webp": (1, _photo("WEBP", seed=2, icc_profile=P3)),
        "colour/cut-profile.jpg": (1, _photo(seed=3, icc_profile=P3[:200])),
        "turned/6.jpg": (2, _photo(seed=4, exif=_exif(6))),
        "turned/8.tif": (2, _photo("TIFF", seed=5, exif=_exif(8))),
        "turned/3.heic": (2, _photo("HEIF", seed=6, exif=_exif(3).tobytes())),
        "beside/crc.png": (3, _with_chunk(_photo("PNG", seed=8), b"tEXt", b"a\0b", is_broken=True)),
        "beside/text.png": (3, _with_chunk(_photo("PNG", seed=9), b"tEXt", b"a\0" + bytes(2**20))),
        "beside/no-end.jpg": (3, _photo(seed=10).removesuffix(END)),
        "first/preview.tif": (4, _several("TIFF", noise(80, 60, 11), noise(320, 240, 12))),
        "first/blank.gif": (4, _several("GIF", blank, noise(320, 240, 13), duration=100)),
        "first/photo.avif": (4, _photo("AVIF", seed=14)),
        "names/" + "long" * 55 + ".jpg": (5, _photo(seed=15)),
        "names/\U0001f468\u200d\U0001f469\u200d\U0001f467.jpg": (5, _photo(seed=16)),
        NOT_UTF_8: (5, _photo(seed=36)),
        "names/Screenshot at 9.41.00\u202fAM.png": (5, _photo("PNG", seed=17)),
        "twice/a.jpg": (6, _photo(seed=18)),
        "twice/b.jpg": (6, _photo(seed=18)),
        "C:/drive.jpg": (7, _photo(seed=19)),
        "suffix/IMG_0001": (8, _photo(seed=20)),
        "suffix/photo.jfif": (8, _photo(seed=21)),
        "suffix/photo.xyz": (8, _photo("PNG", seed=22)),
        "suffix/blob.xyz": (8, bytes(range(256)) * 1024),
        "junk/.hidden.jpg": (9, _photo(seed=23)),
        "junk/Thumbs.db": (9, b"\xd0\xcf\x11\xe0" + bytes(100)),
        "junk/@eaDir/SYNOPHOTO_THUMB_M.jpg": (9, _photo(seed=24)),
        "Gru\u0308ße.jpg": (10, _photo(seed=25)),
        "dates/exif.jpg": (13, _photo(seed=26, exif=_exif(1, "2025:05:17 10:00:05"))),
        "dates/dated.jpg": (13, _photo(seed=27)),
        "dates/dated.jpg.json": (13, json.dumps(takeout).encode()),
        "empty.jpg": (14, b""),
        "clear/nothing.png": (15, pictures.encoded(_alpha(noise(320, 240, 28), 0), "PNG")),
        "clear/light.png": (15, pictures.encoded(_cut_out(), "PNG")),
        "damaged/hole.jpg": (16, _hole(_photo(seed=29, quality=98))),
        "damaged/third.jpg": (16, _cut(_photo(seed=30, quality=98), 0.3)),
        "deep/white-is-zero.tif": (17, _white_is_zero()),
        "deep/16.png": (17, _ramp16()),
        "plain/black.png": (18, pictures.encoded(Image.new("RGB", (320, 240)), "PNG")),
        "plain/blue.png": (18, pictures.encoded(Image.new("RGB", (320, 240), "blue"), "PNG")),
        "several/scan.tif": (19, _several("TIFF", noise(320, 240, 31), noise(320, 240, 32))),
        "several/mpo.jpg": (19, _several("MPO", noise(320, 240, 33), noise(80, 60, 34))),
        "more/clip.mov": (20, video),
        "more/album.json": (20, b"{}"),
        "more/inner.zip": (20, _zip("1.jpg", _photo(seed=35))),
        "other/page.jpg": (21, pictures.HTML),
        "other/drawing.svg": (21, b"<svg xmlns='http://www.w3.org/2000/svg'/>"),
        "other/lfs.jpg": (21, b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n"),
        "other/video.jpg": (21, video),
    }
