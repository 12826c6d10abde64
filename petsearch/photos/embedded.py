"""What EXIF and XMP say of a photo: when and where it was taken, its colours, which way up it is.

What is broken of them is ignored.
"""

import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from datetime import date
from typing import Any

from PIL import Image
from PIL.ExifTags import GPS, IFD, Base

from petsearch.domain.capture import Capture, parse_time, valid_location

# Not `DateTime`, which is when the file was changed.
_TIMES = (
    (Base.DateTimeOriginal, Base.OffsetTimeOriginal),
    (Base.DateTimeDigitized, Base.OffsetTimeDigitized),
)
_SRGB_COLOUR_SPACE = 1
_ADOBE_COLOUR_SPACE = 2
"""Not of the standard, which says "uncalibrated"; some programs write it."""
_DCF_OPTION_FILE = "R03"
"""The interoperability index of Adobe RGB (DCF 2.0)."""
_OFFSETS = (Base.OffsetTime, Base.OffsetTimeOriginal, Base.OffsetTimeDigitized)
_XMP_TIMES = ("exif:DateTimeOriginal", "photoshop:DateCreated", "xmp:CreateDate")
_XMP_DEGREES = re.compile(r"(\d+)[, ](\d+(?:\.\d+)?)(?:[, ](\d+(?:\.\d+)?))?\s*([NSEW])", re.ASCII)
_DECIMAL_DEGREES = re.compile(r"-?\d{1,3}(?:\.\d+)?", re.ASCII)
"""As Apple Photos writes them, with N, S, E or W in a property of its own, or with a sign."""


def capture_of(exif: Image.Exif, xmp: object) -> Capture:
    """What EXIF states, and XMP where EXIF does not."""
    stated, beside = capture_of_exif(exif), capture_of_xmp(xmp if isinstance(xmp, bytes) else b"")
    return Capture(stated.taken_at or beside.taken_at, stated.location or beside.location)


def capture_of_exif(exif: Image.Exif) -> Capture:
    """What EXIF states. Times are local, by the offset that belongs to each."""
    taken_at = location = None
    with suppress(Exception):  # a parser's edge: broken EXIF raises anything
        tags = {**exif, **exif.get_ifd(IFD.Exif)}
        taken_at = next(_times_of_exif(tags), None)
    with suppress(Exception):
        location = _location_of_exif(exif.get_ifd(IFD.GPSInfo))
    return Capture(taken_at, location)


def is_adobe_rgb(exif: Image.Exif) -> bool:
    """Whether EXIF says that the colours are Adobe RGB, as cameras do that embed no profile."""
    with suppress(Exception):  # a parser's edge: broken EXIF raises anything
        space = exif.get_ifd(IFD.Exif).get(Base.ColorSpace)
        if space in (_ADOBE_COLOUR_SPACE, _SRGB_COLOUR_SPACE):
            return bool(space == _ADOBE_COLOUR_SPACE)
        return _text(exif.get_ifd(IFD.Interop).get(1)).strip("\0 ") == _DCF_OPTION_FILE
    return False


def capture_of_xmp(xmp: bytes) -> Capture:
    """What XMP states. Its properties are looked for by name, also in broken XML."""
    text = xmp.decode("utf-8", "replace")
    times = (parse_time(value) for name in _XMP_TIMES for value in _xmp_values(text, name))
    taken_at = next((time for time in times if time is not None), None)
    latitude = next(_xmp_degrees(text, "exif:GPSLatitude", "S"), None)
    longitude = next(_xmp_degrees(text, "exif:GPSLongitude", "W"), None)
    if latitude is None or longitude is None:
        return Capture(taken_at)
    return Capture(taken_at, valid_location(latitude, longitude))


def orientations_of_xmp(xmp: object) -> Iterator[int]:
    """What XMP states of which way up the picture is, as EXIF does."""
    text = xmp.decode("utf-8", "replace") if isinstance(xmp, bytes) else ""
    yield from (int(value) for value in _xmp_values(text, "tiff:Orientation") if value.isdecimal())


def _times_of_exif(tags: dict[int, object]) -> Iterator[date]:
    for tag, own in _TIMES:
        offsets = (_text(tags.get(offset)) for offset in (own, *_OFFSETS))
        time = parse_time(_text(tags.get(tag)), *offsets)
        if time is not None:
            yield time


def _text(value: object) -> str:
    return value.decode("ascii", "replace") if isinstance(value, bytes) else str(value or "")


def _location_of_exif(tags: dict[int, Any]) -> tuple[float, float] | None:
    latitude = _degrees(tags[GPS.GPSLatitude], tags[GPS.GPSLatitudeRef], "S")
    longitude = _degrees(tags[GPS.GPSLongitude], tags[GPS.GPSLongitudeRef], "W")
    return valid_location(latitude, longitude)


def _degrees(parts: Sequence[Any], reference: object, negative: str) -> float:
    """Degrees of degrees, minutes and seconds."""
    degrees: float = sum(float(part) / 60**power for power, part in enumerate(parts))
    return -degrees if _text(reference).strip("\0 ").upper() == negative else degrees


def _xmp_values(text: str, name: str) -> Iterator[str]:
    """The values of a property, which XMP writes as an attribute or as an element."""
    for found in re.finditer(rf"""\b{name}\s*(?:=\s*["']|>)([^"'<]*)""", text):
        yield found[1]


def _xmp_degrees(text: str, name: str, negative: str) -> Iterator[float]:
    beside = next(_xmp_values(text, f"{name}Ref"), "")
    for value in map(str.strip, _xmp_values(text, name)):
        if found := _XMP_DEGREES.fullmatch(value):
            *parts, reference = found.groups("0")
            yield _degrees(parts, reference, negative)
        elif _DECIMAL_DEGREES.fullmatch(value):
            yield _degrees([value.lstrip("-")], negative if "-" in value else beside, negative)
