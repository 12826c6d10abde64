"""Which way up a picture is: the one place that decides, for every format.

TIFF is turned by Pillow while it loads, and HEIC by libheif if the file has a rotation or mirroring
box. For AVIF, Pillow reports that box as EXIF. Without such a box the EXIF of the file counts, as
in every other format, and XMP where EXIF says nothing. A part of a TIFF or raw file that says
nothing is turned as the file.
"""

from collections.abc import Iterator
from contextlib import suppress

from PIL import Image

from petsearch.photos import embedded
from petsearch.photos.boxes import MainPicture

UPRIGHT = 1
_VALUES = range(1, 9)
_TAG = 0x0112
_IMAGEMAGICK = "Raw profile type APP1"
"""The text of a PNG in which ImageMagick keeps the EXIF of a JPEG, under a name and its length."""
# What undoes each EXIF orientation, as PIL.ImageOps.exif_transpose.
_TRANSPOSES = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def orientation_of(picture: Image.Image, main: MainPicture | None, outer: int | None = None) -> int:
    """The EXIF orientation, 1 to 8, that is still to be undone in a loaded picture.

    Args:
        main: what the boxes of a HEIC or AVIF say; None for other formats.
        outer: what the file says from outside the picture.
    """
    if picture.format == "HEIF" and main and main.is_turned:
        return UPRIGHT
    stated = () if picture.format == "TIFF" else _stated(picture, main)
    return next((found for found in (*stated, outer) if found in _VALUES), UPRIGHT)


def _stated(picture: Image.Image, main: MainPicture | None) -> Iterator[int]:
    with suppress(Exception):  # a parser's edge: what cannot be read turns nothing
        yield exif_of(picture, main).get(_TAG, 0)
    yield from embedded.orientations_of_xmp(picture.info.get("xmp"))


def swaps_sides(orientation: int) -> bool:
    """Whether width and height change places."""
    return orientation in (5, 6, 7, 8)


def turned(picture: Image.Image, orientation: int) -> Image.Image:
    """The picture upright."""
    if orientation not in _TRANSPOSES:
        return picture
    return picture.transpose(_TRANSPOSES[orientation])


def exif_of(picture: Image.Image, main: MainPicture | None) -> Image.Exif:
    """The EXIF of a loaded picture's file. Broken EXIF raises anything."""
    # Pillow and pillow_heif change the tag of HEIC and AVIF; the file has it as it was.
    exif = Image.Exif()
    if main is not None and not main.is_turned:
        exif.load(main.exif or b"")
        return exif
    if _IMAGEMAGICK not in picture.info:
        return picture.getexif()
    *_, digits = picture.info[_IMAGEMAGICK].split("\n", 3)
    exif.load(bytes.fromhex(digits))
    return exif
