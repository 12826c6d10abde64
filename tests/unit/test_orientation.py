"""Orientation, decided in one place: all eight values in every format that can carry them."""

import io

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from petsearch.photos import ImageLimits
from petsearch.photos.decode import decode
from petsearch.photos.opening import register_formats
from tests import pictures

LIMITS = ImageLimits()
STORED = (64, 48)
FORMATS = ("JPEG", "PNG", "WEBP", "TIFF", "HEIF", "AVIF")
CORNERS = ((220, 40, 40), (40, 170, 60), (40, 60, 200), (230, 210, 40))
"""Red, green, blue, yellow: top left, top right, bottom left, bottom right as stored."""

# Which stored corner comes to the top left, top right, bottom left and bottom right (EXIF 2.32).
_UPRIGHT_CORNERS = {
    1: (0, 1, 2, 3),
    2: (1, 0, 3, 2),
    3: (3, 2, 1, 0),
    4: (2, 3, 0, 1),
    5: (0, 2, 1, 3),
    6: (2, 0, 3, 1),
    7: (3, 1, 2, 0),
    8: (1, 3, 0, 2),
}


def _stored() -> Image.Image:
    picture = Image.new("RGB", STORED)
    for corner, (x, y) in zip(CORNERS, ((0, 0), (32, 0), (0, 24), (32, 24)), strict=True):
        picture.paste(corner, (x, y, x + 32, y + 24))
    return picture


def _exif(orientation: int) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif.tobytes()


def _encoded(format_: str, orientation: int) -> bytes:
    register_formats()
    file = io.BytesIO()
    options: dict[str, object] = {"quality": 95}
    if format_ in ("JPEG", "WEBP"):
        options = {"quality": 95, "subsampling": 0, "lossless": True}
    if format_ == "TIFF":
        _stored().save(file, format_, tiffinfo={0x0112: orientation})
    else:
        _stored().save(file, format_, exif=_exif(orientation), **options)
    return file.getvalue()


def _corners(picture: Image.Image) -> list[int]:
    pixels = np.asarray(picture, np.int16)
    height, width, _ = pixels.shape
    places = [(y, x) for y in (height // 4, 3 * height // 4) for x in (width // 4, 3 * width // 4)]
    distances = [[int(np.abs(pixels[place] - c).sum()) for c in CORNERS] for place in places]
    return [int(np.argmin(row)) for row in distances]


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("format_", FORMATS)
def test_every_orientation_is_undone_once(format_: str, orientation: int) -> None:
    decoded = decode(_encoded(format_, orientation), LIMITS)
    size = STORED[::-1] if orientation > 4 else STORED
    assert (decoded.width, decoded.height) == decoded.picture.size == size
    assert _corners(decoded.picture) == list(_UPRIGHT_CORNERS[orientation])


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_of_a_heic_without_a_rotation_box_counts(orientation: int) -> None:
    turned = _encoded("HEIF", orientation)
    # pillow_heif writes irot and imir for the orientation it is given. Without them:
    bare = turned.replace(b"irot", b"free").replace(b"imir", b"free")
    decoded = decode(bare, LIMITS)
    assert _corners(decoded.picture) == list(_UPRIGHT_CORNERS[orientation])


@pytest.mark.parametrize("value", [0, 9, 65535])
def test_an_orientation_that_does_not_exist_turns_nothing(value: int) -> None:
    decoded = decode(_encoded("PNG", value), LIMITS)
    assert _corners(decoded.picture) == [0, 1, 2, 3]


def test_exif_that_imagemagick_keeps_as_a_text_counts() -> None:
    segment = _exif(6)
    text = f"\nAPP1\n{len(segment):8}\n{segment.hex()}\n"
    file, info = io.BytesIO(), PngImagePlugin.PngInfo()
    info.add_text("Raw profile type APP1", text, zip=True)
    _stored().save(file, "PNG", pnginfo=info)
    assert _corners(decode(file.getvalue(), LIMITS).picture) == list(_UPRIGHT_CORNERS[6])


XMP = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:Description tiff:Orientation="6"/></x:xmpmeta>'


@pytest.mark.parametrize("format_", ["JPEG", "WEBP", "HEIF", "AVIF"])
def test_xmp_counts_where_exif_says_nothing(format_: str) -> None:
    register_formats()
    data = pictures.encoded(_stored(), format_, quality=95, xmp=XMP)
    assert _corners(decode(data, LIMITS).picture) == list(_UPRIGHT_CORNERS[6])


@pytest.mark.parametrize("exif", [None, b"no EXIF", _exif(0), _exif(8)])
def test_xmp_of_a_png_counts_where_its_exif_says_nothing(exif: bytes | None) -> None:
    info = PngImagePlugin.PngInfo()
    info.add_itxt("XML:com.adobe.xmp", XMP.decode())
    options = {} if exif is None else {"exif": exif}
    data = pictures.encoded(_stored(), "PNG", pnginfo=info, **options)
    expected = 8 if exif == _exif(8) else 6
    assert _corners(decode(data, LIMITS).picture) == list(_UPRIGHT_CORNERS[expected])
