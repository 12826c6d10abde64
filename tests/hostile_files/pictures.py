"""The grammars of JPEG, PNG, WebP, GIF, TIFF and BMP, and what is known to be hard in each."""

import io
import re
import struct
import zlib
from collections.abc import Iterator

from PIL import Image

from bench import attack_files
from tests import hostile, icc, pictures
from tests.hostile_files.grammar import Number, Part, Sample, Variant

_SIDE = 64


def _photo(kind: str, **options: object) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = 6
    exif.get_ifd(0x8769)[0x9003] = "2025:05:17 10:00:05"
    profile = icc.rgb_profile(icc.P3_PRIMARIES, icc.srgb_curve())
    picture = pictures.noise(_SIDE, _SIDE, 5)
    return pictures.encoded(picture, kind, exif=exif, icc_profile=profile, **options)


# --- JPEG: segments of a marker and a size -------------------------------------------------------


def jpeg() -> Sample:
    """A progressive one: its scans are parts, too."""
    data = _photo("JPEG", progressive=True, comment=b"x")
    parts, numbers, at = [], [], 2
    while data[at + 1] != 0xD9:
        (size,) = struct.unpack_from(">H", data, at + 2)
        end = at + 2 + size
        if data[at + 1] == 0xDA:
            found = re.compile(rb"\xff[^\0\xff]").search(data, end)
            assert found is not None
            end = found.start()
        name = f"{data[at + 1]:X} at {at}"
        parts.append(Part(at, end, name))
        numbers.append(Number(at + 2, 2, "big", f"the size of {name}"))
        if data[at + 1] == 0xC2:
            numbers += [Number(at + 5, 2, "big", "the height"), Number(at + 7, 2, "big", "width")]
            numbers.append(Number(at + 9, 1, "big", "the number of components"))
        at = end
    return Sample(data, parts, numbers)


def hard_jpegs() -> Iterator[Variant]:
    """Scans that do not end, sizes that are not there, and profiles in pieces."""
    yield "empty scans", attack_files.jpeg_of_empty_scans(1500)
    yield "empty scans, small", attack_files.jpeg_of_empty_scans(20_000, side=640)
    good = pictures.jpeg(3)
    app2 = b"ICC_PROFILE\0" + bytes([1, 255]) + bytes(60_000)
    segment = b"\xff\xe2" + struct.pack(">H", 2 + len(app2)) + app2
    yield "a profile in 200 pieces", good[:2] + 200 * segment + good[2:]
    yield "padding of 1 MB", good[:2] + b"\xff" * 1_000_000 + good[2:]
    at = good.index(b"\xff\xc0")
    huge = struct.pack(">HH", 65_500, 1_800)
    yield "119 megapixels without data", good[: at + 5] + huge + good[at + 9 : -400]


# --- PNG: chunks of a size, a type and a checksum ------------------------------------------------


def _chunks(data: bytes) -> Iterator[tuple[int, int]]:
    at = 8
    while at + 12 <= len(data):
        end = at + 12 + struct.unpack_from(">I", data, at)[0]
        if end > len(data):
            return
        yield at, end
        at = end


def _with_checksums(data: bytes) -> bytes:
    sealed = bytearray(data)
    for at, end in _chunks(data):
        sealed[end - 4 : end] = struct.pack(">I", zlib.crc32(data[at + 4 : end - 4]))
    return bytes(sealed)


def png() -> Sample:
    """With a profile, EXIF, and pixels in one chunk."""
    data = _photo("PNG")
    parts, numbers = [], []
    for at, end in _chunks(data):
        name = data[at + 4 : at + 8].decode()
        parts.append(Part(at, end, name))
        numbers.append(Number(at, 4, "big", f"the size of {name}"))
    fields = (("width", 4), ("height", 4), ("depth", 1), ("colour", 1), ("interlace", 1))
    places = (16, 20, 24, 25, 28)
    numbers += [
        Number(at, size, "big", name) for at, (name, size) in zip(places, fields, strict=True)
    ]
    return Sample(data, parts, numbers, _with_checksums)


def hard_pngs() -> Iterator[Variant]:
    """Comments and profiles that unpack to much, pixels that are few or do not end."""
    yield "comments of 60 MB", hostile.png_of_comments(60)
    yield "2.5 gigapixels", pictures.huge_png_header()
    yield "100 megapixels of nothing", pictures.clear_png(10_000, 10_000)
    good = _photo("PNG")
    packed = zlib.compress(bytes(100_000_000), 9)
    profile = hostile.png_chunk(b"iCCP", b"p\0\0" + packed)
    yield "a profile of 100 MB", good[:33] + profile + good[33:]
    palette = pictures.encoded(Image.new("P", (64, 64), 255), "PNG")
    at = palette.index(b"PLTE") - 4
    end = at + 12 + struct.unpack_from(">I", palette, at)[0]
    yield "indexes without a palette", palette[:at] + palette[end:]
    yield "a chunk of 2 GB", good[:33] + struct.pack(">I4s", 2**31 - 1, b"tEXt") + good[33:]
    extra = hostile.png_chunk(b"IDAT", b"")
    at = good.index(b"IDAT") - 4
    yield "50,000 empty chunks", good[:at] + 50_000 * extra + good[at:]


# --- WebP: RIFF chunks ---------------------------------------------------------------------------


def webp() -> Sample:
    """Lossy, with a canvas, a profile and EXIF."""
    data = _photo("WEBP")
    parts, numbers, at = [], [Number(4, 4, "little", "the size of RIFF")], 12
    while at + 8 <= len(data):
        kind, size = struct.unpack_from("<4sI", data, at)
        end = at + 8 + size + size % 2
        name = kind.decode().strip()
        parts.append(Part(at, end, name))
        numbers.append(Number(at + 4, 4, "little", f"the size of {name}"))
        if kind == b"VP8X":
            numbers += [Number(at + 8, 1, "little", "the flags")]
            numbers += [Number(at + 12, 3, "little", "width"), Number(at + 15, 3, "little", "high")]
        if kind == b"VP8 ":
            numbers += [Number(at + 14, 2, "little", "frame width")]
            numbers += [Number(at + 16, 2, "little", "frame height")]
        at = end
    return Sample(data, parts, numbers)


def hard_webps() -> Iterator[Variant]:
    """Large canvases of little."""
    blank = Image.new("RGB", (64, 64))
    still = pictures.encoded(blank, "WEBP", lossless=True)
    at = still.index(b"VP8L") + 9
    bits = (16_383 | 7_000 << 14).to_bytes(4, "little")
    yield "VP8L of 114 megapixels", still[:at] + bits + still[at + 4 :]
    frames = [pictures.noise(64, 64, seed) for seed in range(3)]
    moving = pictures.encoded(
        frames[0], "WEBP", save_all=True, append_images=frames[1:], duration=9
    )
    at = moving.index(b"VP8X") + 12
    yield "a canvas of 16384 x 16384", moving[:at] + b"\xff\x3f\0" * 2 + moving[at + 6 :]
    at, end = moving.index(b"ANMF"), len(moving)
    many = moving[:at] + 300 * moving[at:end]
    yield "900 frames", many[:4] + struct.pack("<I", len(many) - 8) + many[8:]
    large = pictures.encoded(Image.new("RGB", (4000, 4000)), "WEBP", lossless=True, method=0)
    yield "16 megapixels of black", large


# --- GIF: blocks -----------------------------------------------------------------------------


def gif() -> Sample:
    """Two frames with colours of their own."""
    frames = [pictures.noise(_SIDE, _SIDE, seed).quantize(16) for seed in (1, 2)]
    data = pictures.encoded(
        frames[0], "GIF", save_all=True, append_images=frames[1:], duration=50, comment=b"hi"
    )
    numbers = [Number(6, 2, "little", "the width"), Number(8, 2, "little", "the height")]
    numbers.append(Number(10, 1, "little", "the size of the palette"))
    at = 13 + ((3 << (data[10] & 7) + 1) if data[10] & 0x80 else 0)
    parts = [Part(13, at, "the palette")]
    while data[at] != 0x3B:
        start = at
        if data[at] == 0x2C:
            numbers += [Number(at + 1, 2, "little", "the left side")]
            numbers += [Number(at + 5, 2, "little", "the width of a frame")]
            numbers += [Number(at + 7, 2, "little", "the height of a frame")]
            at += 10 + ((3 << (data[at + 9] & 7) + 1) if data[at + 9] & 0x80 else 0)
            numbers.append(Number(at, 1, "little", "the bits of a code"))
            at += 1
        else:
            at += 2
        numbers.append(Number(at, 1, "little", "the size of a block"))
        while data[at]:
            at += data[at] + 1
        at += 1
        parts.append(Part(start, at, f"the block at {start}"))
    return Sample(data, parts, numbers)


def hard_gifs() -> Iterator[Variant]:
    """Blank frames, and frames that grow."""
    yield "3,000 blank frames", hostile.blank_animation(3000)
    yield "64 blank frames of 36 megapixels", hostile.blank_animation(6000, 64)
    small = pictures.encoded(Image.new("P", (4, 4)), "GIF")
    yield "a screen of 65535 x 65535", small[:6] + b"\xff" * 4 + small[10:]
    yield "a screen of 65535 x 1800", small[:6] + struct.pack("<HH", 65_535, 1800) + small[10:]
    at = len(small) - 1
    yield "comments of 1 MB", small[:at] + 4000 * (b"!\xfe\xff" + bytes(255) + b"\0") + small[at:]


# --- TIFF: directories of tags -------------------------------------------------------------------


def tiff() -> Sample:
    """Two pages, packed by LZW."""
    pages = [pictures.noise(_SIDE, _SIDE, seed) for seed in (1, 2)]
    data = pictures.encoded(
        pages[0], "TIFF", save_all=True, append_images=pages[1:], compression="tiff_lzw"
    )
    numbers = [Number(4, 4, "little", "the place of the first directory")]
    parts = []
    (at,) = struct.unpack_from("<I", data, 4)
    while at:
        (count,) = struct.unpack_from("<H", data, at)
        numbers.append(Number(at, 2, "little", "the number of tags"))
        for entry in range(at + 2, at + 2 + 12 * count, 12):
            (tag,) = struct.unpack_from("<H", data, entry)
            parts.append(Part(entry, entry + 12, f"tag {tag}"))
            numbers.append(Number(entry + 4, 4, "little", f"the count of tag {tag}"))
            numbers.append(Number(entry + 8, 4, "little", f"the value of tag {tag}"))
        following = at + 2 + 12 * count
        numbers.append(Number(following, 4, "little", "the place of the next directory"))
        (at,) = struct.unpack_from("<I", data, following)
    return Sample(data, parts, numbers)


def hard_tiffs() -> Iterator[Variant]:
    """Tiles and strips of gigabytes, and directories that lead to each other."""
    yield "one LZW tile of 2 GB", attack_files.tiled_tiff(46_000)
    yield "one deflated tile of 900 MB", attack_files.tiled_tiff(30_000, compression=8)
    yield "a tile of all numbers", attack_files.tiled_tiff(0xFFFFFFF0)
    yield "a tile of 18,000", attack_files.tiled_tiff(18_000)
    yield "directories in a circle", _circle()
    for place in (2**62, 2**63, 2**64 - 1):
        yield f"a BigTIFF with a directory at {place}", _big_tiff(next_directory=place)
        yield f"a BigTIFF with values at {place}", _big_tiff(values=place)
    yield "a raw file full of JPEG starts", _raw_of_starts()


def _circle() -> bytes:
    tags = {256: 64, 257: 64, 330: 8}
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags.items())
    one = struct.pack("<H", len(tags)) + entries
    return b"II*\0" + struct.pack("<I", 8) + one + struct.pack("<I", 8)


def _big_tiff(next_directory: int = 0, values: int = 8) -> bytes:
    """One tag, in 64 bits."""
    directory = struct.pack("<QHHQQQ", 1, 256, 16, 2, values, next_directory)
    return b"II+\0" + struct.pack("<HHQ", 8, 0, 16) + directory


def _raw_of_starts() -> bytes:
    """A camera's raw file in which JPEGs begin everywhere, and none ends."""
    start = pictures.jpeg(1)[:300]
    return b"FUJIFILMCCD-RAW" + start * 10_000


# --- BMP: a header, a palette, rows ---------------------------------------------------------------


def bmp() -> Sample:
    """Of 256 colours."""
    data = pictures.encoded(pictures.noise(_SIDE, _SIDE).quantize(256), "BMP")
    fields = (
        *((2, 4, "the size"), (10, 4, "the place of the pixels"), (14, 4, "the header's size")),
        *((18, 4, "the width"), (22, 4, "the height"), (26, 2, "planes"), (28, 2, "bits")),
        *((30, 4, "compression"), (34, 4, "the size of the pixels"), (46, 4, "colours")),
    )
    numbers = [Number(at, size, "little", name) for at, size, name in fields]
    parts = [Part(0, 14, "the file header"), Part(14, 54, "the header")]
    parts += [Part(54, 54 + 1024, "the palette"), Part(1078, len(data), "the pixels")]
    return Sample(data, parts, numbers)


def hard_bmps() -> Iterator[Variant]:
    """Run lengths."""
    yield "run lengths of 100 megapixels", attack_files.run_length_bmp(10_000)
    yield "run lengths of 16 megapixels", attack_files.run_length_bmp(4_000)
    header = struct.pack("<IiiHHIIiiII", 40, 10_900, -10_900, 1, 24, 0, 0, 0, 0, 0, 0)
    rows = io.BytesIO(struct.pack("<2sIHHI", b"BM", 54, 0, 0, 54) + header)
    yield "119 megapixels without rows", rows.getvalue()
    steps = struct.pack("<IiiHHIIiiII", 40, 8000, 8000, 1, 8, 1, 4000, 0, 0, 256, 256)
    jumps = b"\x00\x02\xff\xff" * 1000
    yield "jumps", struct.pack("<2sIHHI", b"BM", 0, 0, 0, 1078) + steps + bytes(1024) + jumps
