"""Decoding and derivatives: right on odd input."""

import io
from pathlib import Path

import numpy as np
import pillow_heif
import pytest
from PIL import Image, ImageOps

from petsearch.domain import PixelSpec
from petsearch.domain.errors import NotAnImage, TooLarge
from petsearch.photos import ImageLimits, decode, preprocessing
from petsearch.photos.copies import display_copy, thumbnail
from petsearch.photos.tones import to_rgb
from tests import pictures

LIMITS = ImageLimits(max_bytes=5_000_000, max_megapixels=50)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF"])
def test_every_accepted_format_decodes(kind: str) -> None:
    decoded = decode.decode(pictures.encoded(pictures.noise(80, 60), kind), LIMITS)
    assert decoded.picture.mode == "RGB"
    assert (decoded.width, decoded.height) == (80, 60)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_a_file_decodes_like_its_bytes_and_stays_open(kind: str, tmp_path: Path) -> None:
    data = pictures.encoded(pictures.noise(80, 60), kind)
    path = tmp_path / "picture"
    path.write_bytes(data)
    with path.open("rb") as file:
        decoded = decode.decode(file, LIMITS)
        assert not file.closed
    pixels = np.asarray(decoded.picture)
    assert np.array_equal(pixels, np.asarray(decode.decode(data, LIMITS).picture))


def test_heic_decodes() -> None:
    buffer = io.BytesIO()
    pillow_heif.from_pillow(pictures.noise(80, 60)).save(buffer)
    decoded = decode.decode(buffer.getvalue(), LIMITS)
    assert decoded.picture.size == (80, 60)


def test_a_heic_that_breaks_its_librarys_limits_is_refused() -> None:
    buffer = io.BytesIO()
    pillow_heif.from_pillow(pictures.noise(80, 60)).save(buffer)
    data = buffer.getvalue()
    width = data.index(b"ispe") + 8
    huge = data[:width] + b"\x7f\xff\xff\xff" + data[width + 4 :]
    with pytest.raises(NotAnImage, match="HEIC"):
        decode.decode(huge, LIMITS)


def test_orientation_is_applied_and_sizes_are_upright() -> None:
    picture = Image.new("RGB", (40, 20), "red")
    picture.paste("blue", (0, 0, 20, 20))
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned: rotate by 90° clockwise to see it upright
    decoded = decode.decode(pictures.encoded(picture, exif=exif, quality=95), LIMITS)
    assert (decoded.width, decoded.height) == decoded.picture.size == (20, 40)
    top = decoded.picture.getpixel((10, 5))
    assert isinstance(top, tuple)
    assert top[2] > 200 > top[0]


def test_public_copies_hold_no_metadata() -> None:
    original = pictures.jpeg_with_gps()
    assert pictures.SECRET.encode() in original
    decoded = decode.decode(original, LIMITS)
    for copy in (display_copy(decoded.picture), thumbnail(decoded.picture)):
        with Image.open(io.BytesIO(copy)) as public:
            assert not public.getexif()
            assert "comment" not in public.info
        assert pictures.SECRET.encode() not in copy
        assert b"Exif" not in copy


def test_derivatives_are_no_larger_than_asked() -> None:
    picture = pictures.noise(2000, 1000)
    with Image.open(io.BytesIO(display_copy(picture))) as display:
        assert display.size == (1600, 800)
    with Image.open(io.BytesIO(thumbnail(picture))) as small:
        assert small.size == (320, 160)


def test_small_pictures_are_not_enlarged() -> None:
    with Image.open(io.BytesIO(thumbnail(pictures.noise(50, 40)))) as small:
        assert small.size == (50, 40)


def test_cmyk_becomes_the_same_colours() -> None:
    red = Image.new("RGB", (30, 30), (200, 30, 30))
    decoded = decode.decode(pictures.encoded(red.convert("CMYK"), quality=95), LIMITS)
    assert np.abs(np.asarray(decoded.picture, int) - np.asarray(red, int)).max() < 12


def test_sixteen_bit_grey_keeps_its_range() -> None:
    values = np.linspace(0, 65535, 64 * 64).reshape(64, 64).astype(np.uint16)
    decoded = decode.decode(pictures.encoded(Image.fromarray(values), "PNG"), LIMITS)
    shown = np.asarray(decoded.picture)
    assert shown.min() == 0
    assert shown.max() == 255
    assert abs(float(shown.mean()) - 127.5) < 2


def test_transparency_goes_on_white() -> None:
    clear = Image.new("RGBA", (20, 20), (255, 0, 0, 0))
    clear.paste((0, 0, 255, 255), (10, 0, 20, 20))
    decoded = decode.decode(pictures.encoded(clear, "PNG"), LIMITS)
    assert decoded.picture.getpixel((5, 5)) == (255, 255, 255)


def test_animations_give_their_first_frame() -> None:
    frames = [Image.new("RGB", (30, 30), colour) for colour in ("red", "green", "blue")]
    data = pictures.encoded(frames[0], "GIF", save_all=True, append_images=frames[1:])
    assert decode.decode(data, LIMITS).picture.getpixel((5, 5)) == (255, 0, 0)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "empty"),
        (pictures.HTML, "not a picture"),
        (b"\xff\xd8\xff\xe0" + bytes(20), "header is broken|cannot be decoded"),
        (pictures.jpeg(width=400, height=300)[:2000], "truncated|rows are whole"),
        (pictures.encoded(pictures.noise(99, 99), "PNG")[:-800], "truncated|rows are whole"),
    ],
    ids=["empty", "html", "header only", "truncated jpeg", "truncated png"],
)
def test_broken_files_are_refused_with_a_reason(data: bytes, reason: str) -> None:
    with pytest.raises(NotAnImage, match=reason):
        decode.decode(data, LIMITS)


def test_a_declared_size_is_refused_before_it_is_decoded() -> None:
    with pytest.raises(TooLarge, match=r"50000 x 50000|too many pixels"):
        decode.decode(pictures.huge_png_header(), LIMITS)


def test_too_many_bytes_are_refused() -> None:
    with pytest.raises(TooLarge, match=r"at most 5 MB"):
        decode.decode(bytes(5_000_001), LIMITS)


def test_other_formats_are_refused() -> None:
    with pytest.raises(NotAnImage, match="PNM picture, which is not accepted"):
        decode.decode(pictures.encoded(pictures.noise(20, 20), "PPM"), LIMITS)


def test_big_jpegs_are_decoded_smaller_but_report_their_size() -> None:
    decoded = decode.decode(pictures.jpeg(width=4800, height=3600), LIMITS)
    assert (decoded.width, decoded.height) == (4800, 3600)
    assert decoded.picture.size == (2400, 1800)


@pytest.mark.parametrize("size", [(4032, 3024), (3024, 4032)], ids=["across", "upright"])
def test_a_phones_photo_is_decoded_at_half_and_gives_nearly_the_same_pixels(
    size: tuple[int, int],
) -> None:
    data, spec = pictures.encoded(pictures.noise(*size), quality=90), PixelSpec(224, 224)
    half = decode.decode(data, ImageLimits()).picture
    whole = decode.decode(data, ImageLimits(), at_least=10_000).picture
    assert half.size == (size[0] // 2, size[1] // 2)
    assert whole.size == size
    apart = preprocessing.to_pixels(half, spec).astype(int) - preprocessing.to_pixels(whole, spec)
    assert np.abs(apart).max() <= 2


def test_a_huge_picture_is_averaged_down_and_reports_its_size() -> None:
    picture = pictures.noise(6000, 4000).convert("P")
    decoded = decode.decode(pictures.encoded(picture, "PNG"), ImageLimits())
    assert (decoded.width, decoded.height) == (6000, 4000)
    assert decoded.picture.size == (2000, 1334)
    whole = picture.convert("RGB").reduce(3)
    assert np.array_equal(np.asarray(decoded.picture), np.asarray(whole))


def test_a_long_strip_keeps_its_shorter_side() -> None:
    data = pictures.encoded(Image.new("L", (40_000, 600)), "PNG")
    assert decode.decode(data, LIMITS).picture.size == (40_000, 600)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_orientation_is_what_pillow_makes_of_it(orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = pictures.encoded(pictures.noise(60, 40), "PNG", exif=exif)
    with Image.open(io.BytesIO(data)) as picture:
        upright = np.asarray(ImageOps.exif_transpose(picture))
    assert np.array_equal(np.asarray(decode.decode(data, LIMITS).picture), upright)


@pytest.mark.parametrize("mode", ["P", "LA", "RGBA", "CMYK", "1"])
def test_strips_give_what_a_whole_conversion_gives(mode: str) -> None:
    picture = pictures.noise(700, 900)
    if mode in ("LA", "RGBA"):
        picture.putalpha(Image.linear_gradient("L").resize(picture.size))
    picture = picture.convert(mode)
    white = Image.new("RGBA", picture.size, "white")
    whole = (
        Image.alpha_composite(white, picture.convert("RGBA")).convert("RGB")
        if mode in ("LA", "RGBA")
        else picture.convert("RGB")
    )
    assert np.array_equal(np.asarray(to_rgb(picture)[0]), np.asarray(whole))


def test_a_picture_that_would_take_too_much_memory_is_refused_before_it_is_decoded() -> None:
    limits = ImageLimits(max_decode_bytes=1_000_000)
    data = pictures.encoded(pictures.noise(500, 500), "WEBP")
    with pytest.raises(TooLarge, match=r"takes \d+ MB; at most 1 MB"):
        decode.decode(data, limits)
