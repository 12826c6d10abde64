"""Photos as cameras, scanners and phones save them: broken metadata, several pages, odd depths."""

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image, TiffImagePlugin

from petsearch.domain.errors import NotAnImage
from petsearch.photos import ImageLimits
from petsearch.photos.decode import DecodedImage, decode
from petsearch.photos.opening import register_formats
from tests import icc, pictures

LIMITS = ImageLimits()
RED, GREEN = (220, 40, 40), (40, 170, 60)


def _pixels(decoded: DecodedImage) -> np.ndarray:
    return np.asarray(decoded.picture, np.int16)


def _codes(decoded: DecodedImage) -> list[str]:
    return [warning.code for warning in decoded.warnings]


def _encoded(picture: Image.Image, format_: str, **options: object) -> bytes:
    register_formats()
    return pictures.encoded(picture, format_, **options)


def _assert_same_pixels(data: bytes, format_: str, **options: object) -> DecodedImage:
    decoded = decode(data, LIMITS)
    plain = decode(_encoded(pictures.noise(120, 90), format_, **options), LIMITS)
    assert np.array_equal(_pixels(decoded), _pixels(plain))
    return decoded


# --- good pixels with broken parts beside them ---------------------------------------------------


def _chunk(kind: bytes, body: bytes, *, checksum: int | None = None) -> bytes:
    found = zlib.crc32(kind + body) if checksum is None else checksum
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", found)


_XMP_KEY = b"XML:com.adobe.xmp\0\1\0\0\0"
_PROFILE = icc.rgb_profile(icc.P3_PRIMARIES, icc.srgb_curve())
PNG_CHUNKS = {
    "a wrong checksum in a text": _chunk(b"tEXt", b"Comment\0hello", checksum=1),
    "a wrong checksum in its EXIF": _chunk(b"eXIf", b"MM\0*\0\0\0\x08\0\0", checksum=1),
    "EXIF that is noise": _chunk(b"eXIf", b"\xff" * 40),
    "EXIF of no bytes": _chunk(b"eXIf", b""),
    "a text of 2 MB": _chunk(b"zTXt", b"c\0\0" + zlib.compress(bytes(2_000_000))),
    "XMP of 2 MB": _chunk(b"iTXt", _XMP_KEY + zlib.compress(b" " * 2_000_000)),
    "a profile of 2 MB": _chunk(b"iCCP", b"p\0\0" + zlib.compress(bytes(2_000_000))),
    "a profile that is noise": _chunk(b"iCCP", b"p\0\0noise"),
    "a profile packed in another way": _chunk(b"iCCP", b"p\0\1" + zlib.compress(_PROFILE)),
    "a profile of no bytes": _chunk(b"iCCP", b"p\0\0" + zlib.compress(b"")),
    "a chunk of no meaning": _chunk(b"zzZz", b"1234"),
    "a gamma of no bytes": _chunk(b"gAMA", b""),
    "primaries of a byte": _chunk(b"cHRM", b"1"),
    "a transparent colour of a byte": _chunk(b"tRNS", b"1"),
    "code points of a byte": _chunk(b"cICP", b"1"),
    "a size of a byte": _chunk(b"pHYs", b"1"),
}  # fmt: skip


@pytest.mark.parametrize("where", ["before the pixels", "behind the pixels"])
@pytest.mark.parametrize("chunk", PNG_CHUNKS.values(), ids=PNG_CHUNKS)
def test_parts_beside_the_pixels_never_refuse_a_png(chunk: bytes, where: str) -> None:
    data = _encoded(pictures.noise(120, 90), "PNG")
    at = 33 if where == "before the pixels" else len(data) - 12
    _assert_same_pixels(data[:at] + chunk + data[at:], "PNG")


@pytest.mark.parametrize("exif", [b"", b"Exif\0\0", b"\xff" * 30, b"Exif\0\0MM\0*\xff\xff\xff\xff"])
@pytest.mark.parametrize("format_", ["WEBP", "HEIF", "JPEG", "AVIF"])
def test_broken_exif_never_refuses_a_photo(format_: str, exif: bytes) -> None:
    good = Image.Exif()
    good[0x010E] = "x" * 60
    good_bytes = good.tobytes()
    data = _encoded(pictures.noise(120, 90), format_, exif=good_bytes)
    stored = good_bytes if good_bytes in data else good_bytes.removeprefix(b"Exif\0\0")
    broken = exif.ljust(len(stored), b"\xff")[: len(stored)]
    _assert_same_pixels(data.replace(stored, broken), format_)


def test_broken_segments_of_other_programs_never_refuse_a_jpeg() -> None:
    data = _encoded(pictures.noise(120, 90), "JPEG")
    photoshop = b"Photoshop 3.0\0" + b"8BIM\x04\x04\xff"
    broken = b"\xff\xed" + struct.pack(">H", 2 + len(photoshop)) + photoshop
    mpf = b"MPF\0" + b"\xff" * 30
    broken += b"\xff\xe2" + struct.pack(">H", 2 + len(mpf)) + mpf
    _assert_same_pixels(data[:2] + broken + data[2:], "JPEG")


# --- which picture of a file ---------------------------------------------------------------------


def _tiff(*sizes: tuple[int, int], **tags: object) -> bytes:
    pages = [pictures.noise(*size, seed=n) for n, size in enumerate(sizes)]
    return _encoded(pages[0], "TIFF", save_all=True, append_images=pages[1:], **tags)


def test_a_small_preview_in_front_is_not_the_picture() -> None:
    decoded = decode(_tiff((160, 120), (800, 600)), LIMITS)
    assert (decoded.width, decoded.height) == (800, 600)
    assert not _codes(decoded)


def test_pages_of_the_same_worth_are_counted() -> None:
    decoded = decode(_tiff((640, 480), (640, 480), (620, 480)), LIMITS)
    assert (decoded.width, decoded.height) == (640, 480)
    assert _codes(decoded) == ["pictures_left_out"]
    assert "2 of them" in decoded.warnings[0].detail


def _with_sub_page(outer: bytes, inner: bytes, photometric: int | None = None) -> bytes:
    """A TIFF whose first page names the page of another one as its sub-page (tag 330)."""
    moved = bytearray(inner)
    shift = len(outer)
    (first,) = struct.unpack_from("<I", inner, 4)
    (count,) = struct.unpack_from("<H", inner, first)
    sizes = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 7: 1}
    for at in range(first + 2, first + 2 + 12 * count, 12):
        tag, kind, values = struct.unpack_from("<HHI", inner, at)
        if tag == 262 and photometric is not None:
            struct.pack_into("<H", moved, at + 8, photometric)
        # Offsets: values that do not fit into the entry, and where the strips are.
        if sizes[kind] * values > 4 or tag == 273:
            (old,) = struct.unpack_from("<I", inner, at + 8)
            struct.pack_into("<I", moved, at + 8, old + shift)
    merged = bytearray(outer) + moved
    (outer_first,) = struct.unpack_from("<I", outer, 4)
    (outer_count,) = struct.unpack_from("<H", outer, outer_first)
    for at in range(outer_first + 2, outer_first + 2 + 12 * outer_count, 12):
        if struct.unpack_from("<H", outer, at)[0] == 330:
            struct.pack_into("<HII", merged, at + 2, 4, 1, first + shift)
    return bytes(merged)


def _preview_with_sub_page(orientation: int = 1) -> bytes:
    info = TiffImagePlugin.ImageFileDirectory_v2()
    info[274] = orientation
    info[254] = 1
    info[330] = 1
    info.tagtype[330] = 4
    return _encoded(pictures.noise(160, 120), "TIFF", tiffinfo=info)


def test_a_full_size_picture_in_a_sub_page_is_taken() -> None:
    data = _with_sub_page(_preview_with_sub_page(), _tiff((800, 600)))
    decoded = decode(data, LIMITS)
    assert (decoded.width, decoded.height) == (800, 600)


def test_a_raw_file_is_shown_by_the_largest_jpeg_in_it() -> None:
    sensor = _with_sub_page(_preview_with_sub_page(), _tiff((800, 600)), photometric=32803)
    small, large = pictures.jpeg(1, 160, 120), pictures.jpeg(2, 400, 300)
    decoded = decode(sensor + small + large, LIMITS)
    assert (decoded.width, decoded.height) == (400, 300)
    assert _codes(decoded) == ["preview_used"]


def test_a_picture_in_a_sub_page_is_turned_as_the_file_unless_it_says_otherwise() -> None:
    outer = _preview_with_sub_page(orientation=6)
    turned = decode(_with_sub_page(outer, _tiff((800, 600))), LIMITS)
    own = decode(_with_sub_page(outer, _tiff((800, 600), tiffinfo={274: 3})), LIMITS)
    assert (turned.width, turned.height) == turned.picture.size == (600, 800)
    expected = pictures.noise(800, 600).transpose(Image.Transpose.ROTATE_270)
    assert np.array_equal(_pixels(turned), np.asarray(expected, np.int16))
    assert own.picture.size == (800, 600)


@pytest.mark.parametrize(("own", "size"), [(None, (300, 400)), (1, (400, 300)), (8, (300, 400))])
def test_a_raw_file_is_turned_as_it_says_unless_its_jpeg_does(
    own: int | None, size: tuple[int, int]
) -> None:
    outer = _preview_with_sub_page(orientation=6)
    sensor = _with_sub_page(outer, _tiff((800, 600)), photometric=32803)
    exif = Image.Exif()
    if own is not None:
        exif[274] = own
    preview = pictures.encoded(pictures.noise(400, 300), exif=exif)
    decoded = decode(sensor + preview, LIMITS)
    assert (decoded.width, decoded.height) == decoded.picture.size == size


def test_a_raw_file_without_a_jpeg_is_refused_with_its_reason() -> None:
    sensor = _with_sub_page(_preview_with_sub_page(), _tiff((800, 600)), photometric=32803)
    with pytest.raises(NotAnImage, match="raw file without a JPEG"):
        decode(sensor, LIMITS)


@pytest.mark.parametrize("format_", ["GIF", "WEBP", "PNG", "AVIF"])
def test_a_blank_first_frame_is_not_the_picture(format_: str) -> None:
    blank, shown = Image.new("RGB", (120, 90), "white"), Image.new("RGB", (120, 90), RED)
    shown.paste(GREEN, (60, 0, 120, 90))
    data = _encoded(blank, format_, save_all=True, append_images=[shown, blank], duration=100)
    pixels = _pixels(decode(data, LIMITS))
    assert np.abs(pixels[45, 30] - RED).max() < 30
    assert np.abs(pixels[45, 90] - GREEN).max() < 30


def test_the_still_of_an_animated_png_that_is_no_frame_is_not_the_picture() -> None:
    still, frame = pictures.noise(120, 90, 1), pictures.noise(120, 90, 2)
    data = _encoded(still, "PNG", save_all=True, append_images=[frame, still], default_image=True)
    assert np.array_equal(_pixels(decode(data, LIMITS)), np.asarray(frame, np.int16))


@pytest.mark.parametrize("format_", ["GIF", "WEBP", "PNG", "AVIF"])
def test_the_first_frame_of_an_animation_that_is_cut_off_is_kept(format_: str) -> None:
    first, noise = pictures.noise(120, 90), np.random.default_rng(1).bytes(120 * 90 * 3)
    second = Image.frombytes("RGB", first.size, noise)
    options = {"save_all": True, "append_images": [second], "duration": 100, "lossless": True}
    whole = _encoded(first, format_, **options)
    cut = decode(whole[: -len(whole) // 4], LIMITS)
    # AVIF codes the frame again, as a still.
    assert np.abs(_pixels(cut) - _pixels(decode(whole, LIMITS))).max() <= 8


@pytest.mark.parametrize("format_", ["WEBP", "AVIF"])
def test_a_still_that_is_cut_off_is_refused(format_: str) -> None:
    whole = _encoded(pictures.noise(120, 90), format_)
    with pytest.raises(NotAnImage, match="broken"):
        decode(whole[: -len(whole) // 4], LIMITS)


def test_the_other_brands_tell_an_avif_from_a_heic() -> None:
    data = _encoded(pictures.noise(120, 90), "AVIF")
    decoded = decode(data.replace(b"ftypavif", b"ftypmif1", 1), LIMITS)
    assert decoded.content_type == "image/avif"
    assert np.array_equal(_pixels(decoded), _pixels(decode(data, LIMITS)))
    heic = _encoded(pictures.noise(120, 90), "HEIF").replace(b"ftypheic", b"ftypmif1", 1)
    assert decode(heic, LIMITS).content_type == "image/heif"


def test_a_blank_photo_of_one_frame_is_taken_as_it_is() -> None:
    decoded = decode(_encoded(Image.new("RGB", (20, 20), "white"), "GIF"), LIMITS)
    assert _pixels(decoded).min() == 255


def test_a_burst_in_a_heic_is_counted() -> None:
    pages = [pictures.noise(320, 240, n) for n in range(3)]
    data = _encoded(pages[0], "HEIF", save_all=True, append_images=pages[1:])
    assert _codes(decode(data, LIMITS)) == ["pictures_left_out"]


def test_a_jpeg_with_more_pictures_behind_it_is_a_jpeg() -> None:
    data = pictures.encoded(
        pictures.noise(320, 240), "MPO", save_all=True, append_images=[pictures.noise(80, 60)]
    )
    decoded = decode(data, LIMITS)
    assert decoded.content_type == "image/jpeg"
    assert (decoded.width, decoded.height) == (320, 240)
    assert not _codes(decoded)


# --- transparency --------------------------------------------------------------------------------


@pytest.mark.parametrize("format_", ["PNG", "TIFF", "WEBP"])
def test_an_alpha_of_nothing_but_zeros_is_ignored(format_: str) -> None:
    picture = pictures.noise(120, 90)
    expected = np.asarray(picture, np.int16)
    picture.putalpha(0)
    options = {"lossless": True, "exact": True} if format_ == "WEBP" else {}
    assert np.array_equal(_pixels(decode(_encoded(picture, format_, **options), LIMITS)), expected)


@pytest.mark.parametrize(("animal", "is_white"), [((250, 248, 240), False), ((90, 60, 40), True)])
def test_the_background_contrasts_with_what_is_opaque(
    animal: tuple[int, int, int],
    is_white: bool,  # noqa: FBT001  # a parameter of the table
) -> None:
    picture = Image.new("RGBA", (200, 200), (0, 0, 0, 0))
    picture.paste((*animal, 255), (50, 50, 150, 150))
    pixels = _pixels(decode(_encoded(picture, "PNG"), LIMITS))
    assert tuple(pixels[100, 100]) == animal
    assert bool(pixels[5, 5].min() == 255) is is_white
    assert np.abs(pixels[5, 5] - pixels[100, 100]).max() > 100


def test_rounded_corners_of_a_light_photo_stay_white() -> None:
    picture = Image.new("RGBA", (200, 200), (250, 250, 250, 255))
    picture.paste((0, 0, 0, 0), (0, 0, 6, 6))
    assert _pixels(decode(_encoded(picture, "PNG"), LIMITS)).min() >= 250


# --- more than 8 bits ----------------------------------------------------------------------------

RAMP = np.tile(np.linspace(0, 65535, 256).astype(np.uint16), (40, 1))


def _grey_tiff(values: np.ndarray, order: str = "<", tags: dict[int, int] | None = None) -> bytes:
    """An uncompressed TIFF of 16-bit greys."""
    height, width = values.shape
    entries = {256: width, 257: height, 258: 16, 259: 1, 262: 1, 273: 0, 277: 1, 278: height,
               279: values.nbytes}  # fmt: skip
    entries |= tags or {}
    directory = struct.pack(order + "H", len(entries))
    entries[273] = 8 + 2 + 12 * len(entries) + 4
    for tag, value in sorted(entries.items()):
        directory += struct.pack(order + "HHII", tag, 4, 1, value)
    mark = b"II*\0" if order == "<" else b"MM\0*"
    head = mark + struct.pack(order + "I", 8)
    return head + directory + bytes(4) + values.astype(order + "u2").tobytes()


@pytest.mark.parametrize("order", ["<", ">"])
def test_deep_grey_is_scaled(order: str) -> None:
    pixels = _pixels(decode(_grey_tiff(RAMP, order), LIMITS))
    assert np.abs(pixels[20, :, 0] - np.arange(256)).max() <= 1


@pytest.mark.parametrize("order", ["<", ">"])
def test_deep_grey_whose_white_is_zero_is_no_negative(order: str) -> None:
    pixels = _pixels(decode(_grey_tiff(RAMP, order, {262: 0}), LIMITS))
    assert np.abs(pixels[20, :, 0] - np.arange(255, -1, -1)).max() <= 1


@pytest.mark.parametrize("tags", [{281: 4095}, {}])
def test_twelve_bits_in_sixteen_are_not_black(tags: dict[int, int]) -> None:
    pixels = _pixels(decode(_grey_tiff(RAMP >> 4, tags=tags), LIMITS))
    assert np.abs(pixels[20, :, 0] - np.arange(256)).max() <= 1


def test_a_kind_of_tiff_that_is_not_read_is_named() -> None:
    data = _grey_tiff((RAMP / 65535).astype("<f2").view("<u2"), tags={339: 3})
    with pytest.raises(
        NotAnImage, match="samples are floating-point numbers of 16 bits, is not read"
    ):
        decode(data, LIMITS)


def test_the_transparent_value_of_a_deep_grey_png_is_white() -> None:
    values = np.full((40, 80), 30_000, np.uint16)
    values[:, :10] = 1000
    data = _encoded(Image.fromarray(values), "PNG")
    keyed = data[:33] + _chunk(b"tRNS", struct.pack(">H", 1000)) + data[33:]
    pixels = _pixels(decode(keyed, LIMITS))
    assert pixels[:, :10].min() == 255
    assert np.abs(pixels[:, 10:] - 117).max() <= 1


def test_a_light_animal_on_a_transparent_value_is_seen() -> None:
    """As it is in 8 bits; `test_the_background_contrasts_with_what_is_opaque`."""
    values = np.zeros((40, 80), np.uint16)
    values[:, 20:60] = 60_000
    data = _encoded(Image.fromarray(values), "PNG")
    keyed = data[:33] + _chunk(b"tRNS", bytes(2)) + data[33:]
    pixels = _pixels(decode(keyed, LIMITS))
    assert np.abs(pixels[:, 20:60] - 233).max() <= 1
    assert pixels[:, :20].max() < 100


def test_a_transparent_value_that_all_pixels_have_is_ignored() -> None:
    data = _encoded(Image.fromarray(np.full((40, 80), 30_000, np.uint16)), "PNG")
    keyed = data[:33] + _chunk(b"tRNS", struct.pack(">H", 30_000)) + data[33:]
    assert np.abs(_pixels(decode(keyed, LIMITS)) - 117).max() <= 1


def _keyed_png(
    size: tuple[int, int], bits: int, colour_type: int, rows: list[bytes], *key: int
) -> bytes:
    header = struct.pack(">IIBBBBB", *size, bits, colour_type, 0, 0, 0)
    chunks = _chunk(b"IHDR", header) + _chunk(b"tRNS", struct.pack(f">{len(key)}H", *key))
    packed = zlib.compress(b"".join(b"\0" + row for row in rows))
    return b"\x89PNG\r\n\x1a\n" + chunks + _chunk(b"IDAT", packed) + _chunk(b"IEND", b"")


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
def test_the_transparent_value_of_a_shallow_grey_png_is_white(bits: int) -> None:
    most = (1 << bits) - 1
    # The left half is of the value 1, and the right one of 0.
    half = "".join(f"{1:0{bits}b}" for _ in range(40))
    row = int(half + "0" * len(half), 2).to_bytes(10 * bits, "big")
    rows = [row] * 40
    keyed = _keyed_png((80, 40), bits, 0, rows, 1)
    pixels = _pixels(decode(keyed, LIMITS))
    assert (pixels[:, :40].min(), pixels[:, 40:].max()) == (255, 0)
    other = _pixels(decode(_keyed_png((80, 40), bits, 0, rows, 0), LIMITS))
    assert np.abs(other[:, :40] - 255 // most).max() == 0


def _rgb16_png(values: np.ndarray, key: tuple[int, int, int]) -> bytes:
    height, width, _ = values.shape
    rows = [row.astype(">u2").tobytes() for row in values]
    return _keyed_png((width, height), 16, 2, rows, *key)


@pytest.mark.parametrize("key", [7, 9000])
def test_the_transparent_colour_of_a_png_of_16_bits_a_channel_is_transparent(key: int) -> None:
    values = np.full((40, 80, 3), 30_000, np.uint16)
    values[:, :40] = key
    pixels = _pixels(decode(_rgb16_png(values, (key, key, key)), LIMITS))
    assert pixels[:, :40].min() == 255
    assert np.abs(pixels[:, 40:] - 117).max() <= 1


def test_a_transparent_colour_beyond_8_bits_never_refuses_a_png() -> None:
    data = _encoded(pictures.noise(120, 90), "PNG")
    _assert_same_pixels(
        data[:33] + _chunk(b"tRNS", struct.pack(">3H", 7, 999, 7)) + data[33:], "PNG"
    )


# --- what is no photo ----------------------------------------------------------------------------

STRANGERS = {
    "JPEG 2000": b"\0\0\0\x0cjP  \r\n\x87\n",
    "JPEG XL": b"\xff\x0a\xfa\x1f\x41\x91",
    "SVG": b'<?xml version="1.0"?>\n<svg xmlns="http://www.w3.org/2000/svg"></svg>',
    "web page": b"\xef\xbb\xbf\n<!DOCTYPE html><html><body>404</body></html>",
    "video": b"\0\0\0\x18ftypmp42\0\0\0\0isommp42",
    "but a video": b"\0\0\0\x1cftypXAVC\1\0\0\0XAVCmp42nras",
    "but a sound": b"\0\0\0\x18ftypM4A \0\0\0\0mp42isom",
    "an AVIF picture whose header is broken": b"\0\0\0\x18ftypmif1\0\0\0\0mif1avif",
    "a HEIC picture whose header is broken": b"\0\0\0\x18ftypXXXX\0\0\0\0mif1XXXX",
    "PDF": b"%PDF-1.7\n%\xe2\xe3\xcf\xd3",
    "Git LFS pointer": b"version https://git-lfs.github.com/spec/v1\noid sha256:1234\nsize 5\n",
    "Photoshop": b"8BPS\0\1\0\0\0\0\0\0",
    "zip archive": b"PK\3\4\x14\0\0\0",
    "zero bytes": bytes(2000),
    "a text": b"404: Not Found \xe2\x80\x94 the rest of the word is cut \xe2\x80",
    "picture in Base64": b"data:image/jpeg;base64,/9j/4AAQSkZJRg",
    "JPEG XR": b"II\xbc\x01\x08\0\0\0",
    "property list, as iCloud": b"bplist00\xd4\x01\x02\x03",
    "a sound": b"\xff\xfb\x90\x64" + bytes(40),
    "Windows metafile": b"\xd7\xcd\xc6\x9a" + bytes(40),
    "PostScript": b"\xc5\xd0\xd3\xc6\x1e\0\0\0",
    "7z archive": b"7z\xbc\xaf\x27\x1c\0\4",
    "PNG picture whose header is broken": b"\x89PNG\r\n\x1a\n" + bytes(40),
    "JPEG picture whose header is broken": b"\xff\xd8\xff\xe0" + bytes(40),
    "not a picture of a known format": b"\x93\x13\xf7 hello",
}


@pytest.mark.parametrize("name", STRANGERS)
def test_the_refusal_names_what_the_file_is(name: str) -> None:
    with pytest.raises(NotAnImage, match=name):
        decode(STRANGERS[name], LIMITS)


def test_a_truncated_file_is_refused() -> None:
    data = _encoded(pictures.noise(320, 240), "PNG")
    with pytest.raises(NotAnImage, match="broken or truncated"):
        decode(data[: len(data) // 2], LIMITS)


@pytest.mark.parametrize("format_", ["JPEG", "PNG", "TIFF", "HEIF"])
def test_a_file_on_disk_gives_the_same_as_its_bytes(format_: str) -> None:
    data = _encoded(pictures.noise(320, 240), format_)
    file = io.BytesIO(data)
    assert np.array_equal(_pixels(decode(file, LIMITS)), _pixels(decode(data, LIMITS)))
