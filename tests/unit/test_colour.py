"""Colours: what files declare is converted to sRGB before anything is made of the pixels.

The reference is LittleCMS, relative colorimetric with black point compensation, on the pixels as
Pillow decodes them.
"""

import io
import struct
import zlib
from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image, ImageCms

from petsearch.domain import PixelSpec
from petsearch.photos import ImageLimits, to_pixels
from petsearch.photos.copies import display_copy, thumbnail
from petsearch.photos.decode import decode
from petsearch.photos.opening import register_formats
from tests import icc, pictures

LIMITS = ImageLimits()
PROFILES = {
    "sRGB v4": icc.rgb_profile(icc.SRGB_PRIMARIES, icc.srgb_curve()),
    "Display P3": icc.rgb_profile(icc.P3_PRIMARIES, icc.srgb_curve()),
    "Adobe RGB": icc.rgb_profile(icc.ADOBE_PRIMARIES, icc.gamma(2.19921875), version=2),
    "ProPhoto": icc.rgb_profile(icc.PROPHOTO_PRIMARIES, icc.gamma(1.8), version=2),
}
FORMATS: dict[str, dict[str, object]] = {
    "JPEG": {"quality": 98, "subsampling": 0},
    "PNG": {},
    "WEBP": {"lossless": True},
    "HEIF": {"quality": 95, "chroma": 444},
    "TIFF": {},
    "AVIF": {"quality": 95, "subsampling": "4:4:4"},
}
_SIDE = 48
_COLUMNS, _ROWS = 6, 5
_NAMED = [(0, 0, 0), (255, 255, 255), (128, 128, 128), (220, 40, 40), (40, 220, 40), (40, 40, 220),
          (255, 0, 0), (0, 255, 0), (0, 0, 255)]  # fmt: skip


def _patches() -> Image.Image:
    colours = [*_NAMED, *np.random.default_rng(1).integers(0, 256, (20, 3)), (90, 90, 90)]
    grid = np.array(colours, np.uint8).reshape(_ROWS, _COLUMNS, 3)
    return Image.fromarray(grid.repeat(_SIDE, 0).repeat(_SIDE, 1))


def _encoded(picture: Image.Image, format_: str, **options: object) -> bytes:
    register_formats()
    file = io.BytesIO()
    picture.save(file, format_, **FORMATS[format_], **options)
    return file.getvalue()


def _reference(data: bytes, profile: bytes) -> np.ndarray:
    with Image.open(io.BytesIO(data)) as stored:
        stored.load()
        converted = ImageCms.profileToProfile(
            stored if stored.mode in ("L", "CMYK") else stored.convert("RGB"),
            io.BytesIO(profile),
            ImageCms.createProfile("sRGB"),
            renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC,
            outputMode="RGB",
            flags=ImageCms.Flags.BLACKPOINTCOMPENSATION,
        )
    return np.asarray(converted, np.int16)


def _pixels_of(picture: Image.Image) -> np.ndarray:
    return np.asarray(picture.convert("RGB"), np.int16)


def _middles(pixels: np.ndarray) -> np.ndarray:
    step = pixels.shape[1] // _COLUMNS
    return pixels[step // 2 :: step, step // 2 :: step]


def _assert_close(data: bytes, profile: bytes) -> None:
    reference, decoded = _reference(data, profile), decode(data, LIMITS)
    assert not decoded.warnings
    assert np.abs(_pixels_of(decoded.picture) - reference).max() <= 2
    for copy in (display_copy(decoded.picture), thumbnail(decoded.picture)):
        with Image.open(io.BytesIO(copy)) as shown:
            assert "icc_profile" not in shown.info
            difference = np.abs(_middles(_pixels_of(shown)) - _middles(reference))
        assert difference.max() <= 4


@pytest.mark.parametrize("format_", FORMATS)
@pytest.mark.parametrize("name", PROFILES)
def test_colours_are_converted_to_srgb(name: str, format_: str) -> None:
    profile = PROFILES[name]
    _assert_close(_encoded(_patches(), format_, icc_profile=profile), profile)


@pytest.mark.parametrize("format_", ["JPEG", "PNG", "TIFF"])
def test_grey_is_converted_by_its_profile(format_: str) -> None:
    profile = icc.grey_profile(icc.gamma(1.8))
    _assert_close(_encoded(_patches().convert("L"), format_, icc_profile=profile), profile)


@pytest.mark.parametrize("format_", ["JPEG", "TIFF"])
def test_cmyk_is_converted_by_its_profile(format_: str) -> None:
    profile = icc.cmyk_profile()
    _assert_close(_encoded(_patches().convert("CMYK"), format_, icc_profile=profile), profile)


def test_the_model_sees_the_same_colours() -> None:
    spec = PixelSpec(240, 240, "squash")
    profile = PROFILES["Display P3"]
    data = _encoded(_patches(), "PNG", icc_profile=profile)
    converted = Image.fromarray(_reference(data, profile).astype(np.uint8))
    seen = to_pixels(decode(data, LIMITS).picture, spec).astype(np.int16)
    assert np.abs(seen - to_pixels(converted, spec)).max() <= 2


def test_alpha_stays_while_colours_are_converted() -> None:
    picture = _patches()
    mask = Image.new("L", picture.size, 255)
    mask.paste(0, (0, 0, _SIDE, _SIDE))
    picture.putalpha(mask)
    data = _encoded(picture, "PNG", icc_profile=PROFILES["Display P3"])
    shown = _pixels_of(decode(data, LIMITS).picture)
    expected = _reference(data, PROFILES["Display P3"])
    assert tuple(shown[5, 5]) == (255, 255, 255)
    assert np.abs(shown[_SIDE:] - expected[_SIDE:]).max() <= 2


BROKEN = {
    "cut": PROFILES["Display P3"][:200],
    "noise": b"not a profile" * 40,
    "of CMYK": icc.cmyk_profile(),
    "of grey": icc.grey_profile(icc.gamma(1.8)),
}


@pytest.mark.parametrize("profile", BROKEN.values(), ids=BROKEN)
@pytest.mark.parametrize("format_", ["JPEG", "WEBP", "TIFF", "HEIF"])
def test_a_profile_that_does_not_fit_is_ignored_with_a_warning(
    profile: bytes, format_: str
) -> None:
    data = _encoded(_patches(), format_, icc_profile=profile)
    plain = decode(_encoded(_patches(), format_), LIMITS)
    decoded = decode(data, LIMITS)
    assert [warning.code for warning in decoded.warnings] == ["profile_ignored"]
    assert np.abs(_pixels_of(decoded.picture) - _pixels_of(plain.picture)).max() <= 3


def test_a_profile_of_rgb_counts_for_grey() -> None:
    grey = _patches().convert("L")
    profile = PROFILES["ProPhoto"]
    decoded = decode(_encoded(grey, "PNG", icc_profile=profile), LIMITS)
    assert not decoded.warnings
    expected = _reference(_encoded(grey.convert("RGB"), "PNG"), profile)
    assert np.abs(_pixels_of(decoded.picture) - expected).max() <= 1


def test_grey_with_a_profile_of_srgb_stays_without_a_word() -> None:
    data = _encoded(_patches().convert("L"), "JPEG", icc_profile=PROFILES["sRGB v4"])
    decoded = decode(data, LIMITS)
    assert not decoded.warnings
    with Image.open(io.BytesIO(data)) as stored:
        assert np.array_equal(_pixels_of(decoded.picture), _pixels_of(stored))


# --- PNG's own chunks, and HEIF's code points -----------------------------------------------------


def _png_with(picture: Image.Image, kind: bytes, body: bytes) -> bytes:
    data = _encoded(picture, "PNG")
    chunk = struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
    return data[:33] + chunk + data[33:]


def test_gamma_and_primaries_of_a_png_count() -> None:
    primaries = (31270, 32900, 68000, 32000, 26500, 69000, 15000, 6000)
    data = _png_with(_patches(), b"cHRM", struct.pack(">8I", *primaries))
    expected = _reference(data, PROFILES["Display P3"])
    assert np.abs(_pixels_of(decode(data, LIMITS).picture) - expected).max() <= 2
    linear = _png_with(Image.new("RGB", (9, 9), (55, 55, 55)), b"gAMA", struct.pack(">I", 100000))
    # 55/255 of the light is 0.2157, which sRGB writes as 0.5019.
    assert np.abs(_pixels_of(decode(linear, LIMITS).picture) - 128).max() <= 1


_DEEP_GREY = Image.fromarray(np.full((9, 9), 32_896, np.uint16))
_GREYS = {
    "L": Image.new("L", (9, 9), 128),
    "LA": Image.new("LA", (9, 9), (128, 255)),
    "16 bits": _DEEP_GREY,
    "palette": Image.new("L", (9, 9), 128).convert("P"),
    "RGB": Image.new("RGB", (9, 9), (128, 128, 128)),
}
_LINEAR_CHUNKS = {
    "gAMA": (b"gAMA", struct.pack(">I", 100_000)),
    "cICP": (b"cICP", bytes([1, 8, 0, 1])),
}


@pytest.mark.parametrize("chunk", _LINEAR_CHUNKS.values(), ids=_LINEAR_CHUNKS)
@pytest.mark.parametrize("grey", _GREYS.values(), ids=_GREYS)
def test_what_a_png_declares_counts_for_grey_as_well(
    grey: Image.Image, chunk: tuple[bytes, bytes]
) -> None:
    # 128/255 of the light is 0.502, which sRGB writes as 188.
    pixels = _pixels_of(decode(_png_with(grey, *chunk), LIMITS).picture)
    assert np.abs(pixels - 188).max() <= 1


@pytest.mark.parametrize("format_", ["HEIF", "AVIF"])
@pytest.mark.parametrize(("transfer", "expected"), [(8, 188), (16, 181)])
def test_code_points_count_for_grey_as_well(format_: str, transfer: int, expected: int) -> None:
    register_formats()
    grey = pictures.encoded(Image.new("L", (64, 64), 128), format_, quality=95)
    pixels = _pixels_of(decode(_with_nclx(grey, 1, transfer), LIMITS).picture)
    assert np.abs(pixels - expected).max() <= 2


@pytest.mark.parametrize("body", [struct.pack(">I", 45455), struct.pack(">I", 0)])
def test_the_gamma_of_srgb_and_no_gamma_change_nothing(body: bytes) -> None:
    data = _png_with(_patches(), b"gAMA", body)
    assert np.array_equal(_pixels_of(decode(data, LIMITS).picture), _pixels_of(_patches()))


def test_primaries_that_are_hardly_apart_never_refuse_a_png() -> None:
    primaries = (31270, 32900, 64000, 33000, 64000, 33001, 15000, 6000)
    data = _png_with(_patches(), b"cHRM", struct.pack(">8I", *primaries))
    assert np.array_equal(_pixels_of(decode(data, LIMITS).picture), _pixels_of(_patches()))


def test_code_points_of_a_png_count_before_its_profile() -> None:
    profiled = _encoded(_patches(), "PNG", icc_profile=PROFILES["Adobe RGB"])
    points = b"cICP" + bytes([12, 13, 0, 1])
    chunk = struct.pack(">I", 4) + points + struct.pack(">I", zlib.crc32(points))
    data = profiled[:33] + chunk + profiled[33:]
    expected = _reference(profiled, PROFILES["Display P3"])
    assert np.abs(_pixels_of(decode(data, LIMITS).picture) - expected).max() <= 2


@pytest.mark.parametrize("tags", [{0xA001: 0xFFFF, 0xA005: {1: "R03"}}, {0xA001: 2}])
@pytest.mark.parametrize("format_", ["JPEG", "PNG", "WEBP"])
def test_adobe_rgb_counts_that_a_camera_only_names(format_: str, tags: dict[int, object]) -> None:
    exif = Image.Exif()
    exif[0x0112] = 1
    exif.get_ifd(0x8769).update(tags)
    data = _encoded(_patches(), format_, exif=exif.tobytes())
    expected = _reference(data, PROFILES["Adobe RGB"])
    assert np.abs(_pixels_of(decode(data, LIMITS).picture) - expected).max() <= 2


@pytest.mark.parametrize("alpha", [255, 0])
def test_grey_beside_alpha_is_converted_by_its_profile(alpha: int) -> None:
    grey = Image.new("L", (9, 9), 55)
    profile = icc.grey_profile(icc.gamma(1.0))
    data = _encoded(
        Image.merge("LA", (grey, Image.new("L", (9, 9), alpha))), "PNG", icc_profile=profile
    )
    decoded = decode(data, LIMITS)
    # 55/255 of the light is 0.2157, which sRGB writes as 0.5019.
    assert np.abs(_pixels_of(decoded.picture) - 128).max() <= 1
    assert decoded.warnings == ()


_LINEAR_GREY = icc.grey_profile(icc.gamma(1.0))
_GREY_IN_OTHER_MODES = {
    "palette": lambda: _encoded(_grey().convert("P"), "PNG", icc_profile=_LINEAR_GREY),
    "RGB": lambda: _encoded(_grey().convert("RGB"), "JPEG", icc_profile=_LINEAR_GREY),
    "palette with alpha": lambda: pictures.encoded(
        _grey().convert("P"), "PNG", transparency=bytes([0] + [255] * 255), icc_profile=_LINEAR_GREY
    ),
    "WebP": lambda: pictures.encoded(_grey(), "WEBP", quality=95, icc_profile=_LINEAR_GREY),
    "RGBA": lambda: _encoded(_grey().convert("RGBA"), "PNG", icc_profile=_LINEAR_GREY),
}


def _grey() -> Image.Image:
    return Image.fromarray(np.tile(np.arange(256, dtype=np.uint8), (64, 1)))


@pytest.mark.parametrize("make", _GREY_IN_OTHER_MODES.values(), ids=_GREY_IN_OTHER_MODES)
def test_a_grey_profile_counts_where_all_channels_are_equal(make: Callable[[], bytes]) -> None:
    decoded = decode(make(), LIMITS)
    assert decoded.warnings == ()
    expected = _pixels_of(
        decode(_encoded(_grey(), "PNG", icc_profile=_LINEAR_GREY), LIMITS).picture
    )
    assert np.abs(_pixels_of(decoded.picture) - expected)[:, 100:].max() <= 6


def _bmp_with_profile(picture: Image.Image, profile: bytes) -> bytes:
    """A BMP of version 5, whose profile lies behind the pixels."""
    pixels = np.asarray(picture)[::-1, :, ::-1].tobytes()
    header = struct.pack("<IiiHHIIiiII", 124, *picture.size, 1, 24, 0, len(pixels), 0, 0, 0, 0)
    header += bytes(16) + b"DEBM" + bytes(36 + 12)
    header += struct.pack("<4I", 4, 124 + len(pixels), len(profile), 0)
    start = struct.pack("<2sIHHI", b"BM", 14 + 124 + len(pixels) + len(profile), 0, 0, 138)
    return start + header + pixels + profile


def test_the_profile_in_a_bmp_counts() -> None:
    data = _bmp_with_profile(_patches(), PROFILES["Display P3"])
    expected = _reference(data, PROFILES["Display P3"])
    decoded = decode(data, LIMITS)
    assert decoded.warnings == ()
    assert np.abs(_pixels_of(decoded.picture) - expected).max() <= 2
    cut = decode(data[:-100], LIMITS)
    assert [warning.code for warning in cut.warnings] == ["profile_ignored"]
    assert np.array_equal(_pixels_of(cut.picture), _pixels_of(_patches()))


def test_a_profile_counts_before_the_other_chunks() -> None:
    profiled = _encoded(_patches(), "PNG", icc_profile=PROFILES["Adobe RGB"])
    gamma = b"gAMA" + struct.pack(">I", 100000)
    chunk = struct.pack(">I", 4) + gamma + struct.pack(">I", zlib.crc32(gamma))
    data = profiled[:33] + chunk + profiled[33:]
    expected = _reference(profiled, PROFILES["Adobe RGB"])
    assert np.abs(_pixels_of(decode(data, LIMITS).picture) - expected).max() <= 2


def _with_nclx(data: bytes, primaries: int, transfer: int) -> bytes:
    at = data.index(b"nclx") + 4
    return data[:at] + struct.pack(">HH", primaries, transfer) + data[at + 4 :]


def test_primaries_of_a_heic_count() -> None:
    data = _with_nclx(_encoded(_patches(), "HEIF"), 12, 13)
    expected = _reference(_encoded(_patches(), "HEIF"), PROFILES["Display P3"])
    assert np.abs(_pixels_of(decode(data, LIMITS).picture) - expected).max() <= 2


@pytest.mark.parametrize(("transfer", "code"), [(16, 148), (18, 191)])
def test_reference_white_of_hdr_is_white(transfer: int, code: int) -> None:
    """203 cd/m² is 58 % in PQ and 75 % in HLG (ITU-R BT.2408)."""
    plain = _encoded(Image.new("RGB", (64, 64), (code,) * 3), "HEIF")
    data = _with_nclx(plain, 9, transfer)
    assert _pixels_of(decode(data, LIMITS).picture).min() >= 250


def test_unknown_code_points_change_nothing() -> None:
    data = _with_nclx(_encoded(_patches(), "HEIF"), 250, 250)
    plain = decode(_encoded(_patches(), "HEIF"), LIMITS)
    assert np.array_equal(_pixels_of(decode(data, LIMITS).picture), _pixels_of(plain.picture))
