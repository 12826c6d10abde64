"""Decodes photos: checked against limits, the right picture of the file, upright, sRGB, 8 bits.

`opening` says which picture of a file is meant. `preprocessing` makes the model's pixels of the
result, and `copies` what people see.
"""

import warnings
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from PIL import Image

from petsearch.domain import ItemWarning
from petsearch.domain.capture import NOT_STATED, Capture
from petsearch.domain.errors import NotAnImage, TooLarge
from petsearch.photos import colour, containers, embedded, jpeg, orientation, pages, tones
from petsearch.photos.copies import DISPLAY_SIDE
from petsearch.photos.decode_memory import (
    bytes_to_decode,
    bytes_to_open,
    shrink_factor,
    smallest_size,
)
from petsearch.photos.opening import (
    Encoded,
    File,
    ImageLimits,
    Opened,
    check_size,
    open_picture,
    open_repaired,
)

PIXELS_VERSION = 4
"""Grows when the same bytes become other pixels; `reconcile --pixels` remakes old ones."""
_SEARCH_SHARE = 0.5
"""Of the time for decoding: for finding the row from which on a JPEG is damaged."""


@dataclass(frozen=True)
class DecodedImage:
    """An upright RGB picture in sRGB without metadata, and what its file declares."""

    picture: Image.Image
    width: int
    """Width of the original when upright; `picture` may be smaller (see `decode`)."""
    height: int
    content_type: str
    warnings: tuple[ItemWarning, ...] = ()
    capture: Capture = NOT_STATED


def decode(
    data: Encoded,
    limits: ImageLimits,
    *,
    at_least: int = DISPLAY_SIDE,
    reserve: Callable[[int], None] = lambda _: None,
) -> DecodedImage:
    """Decode an encoded picture whole: upright, RGB in sRGB, metadata dropped.

    For files of strangers, call it through `decoders`. JPEGs much larger than `at_least` (pixels of
    the longer side) are decoded at 1/2, 1/4 or 1/8 scale, which costs a fraction of a full decode.
    (A 12-megapixel phone photo took 88 ms with all copies instead of 200, and the model's pixels
    differed by at most 2 of 255.) Other pictures of more than 20 megapixels are averaged down right
    after decoding.

    Args:
        reserve: called with the estimated memory in bytes before it is taken.

    Raises:
        TooLarge: it has more bytes, declares more pixels, or takes more memory than allowed.
        NotAnImage: it is empty, broken, not a picture, or in a format that is not accepted.
    """
    file = File(data)
    check_size(file.size, limits)
    if (to_open := bytes_to_open(file.head)) > limits.max_decode_bytes:
        raise TooLarge(
            f"Opening this WebP takes {to_open / 1e6:.0f} MB; "
            f"at most {limits.max_decode_bytes / 1e6:.0f} MB are allowed."
        )
    reserve(to_open)
    opened = open_picture(file, limits)
    declared = opened.picture.size
    reserve(_bytes_needed(opened.picture, limits, at_least))
    try:
        return _decode(opened, declared, limits, at_least)
    except NotAnImage as error:
        opened = open_repaired(file, error)
        reserve(_bytes_needed(opened.picture, limits, at_least))
        return _decode(opened, declared, limits, at_least)


def _bytes_needed(picture: Image.Image, limits: ImageLimits, at_least: int) -> int:
    """What decoding holds in memory, once a JPEG is set to be decoded at a part of its size."""
    declared = picture.size
    try:
        picture.draft(None, smallest_size(picture.size, at_least))
        needed = bytes_to_decode(picture, declared, at_least)
    except Exception as error:  # a decoder's edge
        raise NotAnImage(f"The header of the {_name(picture)} file is broken.") from error
    if needed > limits.max_decode_bytes:
        raise TooLarge(
            f"Decoding this {_name(picture)} of {declared[0]} x {declared[1]} pixels takes "
            f"{needed / 1e6:.0f} MB; at most {limits.max_decode_bytes / 1e6:.0f} MB are allowed."
        )
    return needed


def _decode(
    opened: Opened, declared: tuple[int, int], limits: ImageLimits, at_least: int
) -> DecodedImage:
    picture, found = opened.picture, opened.warnings
    with warnings.catch_warnings(action="ignore"):
        try:
            loaded, damage = _load(opened, _SEARCH_SHARE * limits.max_decode_s)
            # Some formats keep their metadata behind the pixels.
            turn = orientation.orientation_of(picture, opened.main, opened.orientation)
            exif = _exif_of(opened)
            capture = embedded.capture_of(exif, picture.info.get("xmp"))
            upright, profile_used = tones.to_rgb(
                loaded,
                shrink_factor(loaded.size, at_least),
                profile=_profile_of(opened, exif),
                is_negative=opened.is_negative,
            )
            if loaded is picture and upright is not picture:
                # The caller still refers to it; unclosed, the full picture would stay in memory.
                picture.close()
            upright = orientation.turned(upright, turn)
        except Exception as error:  # a decoder's edge: broken files raise anything
            if _is_out_of_memory(error):
                raise TooLarge(
                    f"Decoding this {_name(picture)} of {declared[0]} x {declared[1]} pixels takes "
                    "more memory than a picture of its size and kind does."
                ) from error
            raise NotAnImage(
                f"The {_name(picture)} file cannot be decoded; it is broken or truncated."
            ) from error
    if damage is not None:
        found = (*found, _warning_of(damage))
    if not profile_used:
        detail = "Its colour profile cannot be used; the colours were taken for sRGB."
        found = (*found, ItemWarning("profile_ignored", detail))
    # Pillow's encoders copy comments and profiles from `info`; the copies must hold none.
    upright.info.clear()
    width, height = declared[::-1] if orientation.swaps_sides(turn) else declared
    return DecodedImage(upright, width, height, opened.content_type, found, capture)


def _is_out_of_memory(error: Exception) -> bool:
    # Pillow's decoders raise an OSError that says so.
    return isinstance(error, MemoryError) or "out of memory" in str(error)


def _exif_of(opened: Opened) -> Image.Exif:
    exif = Image.Exif()
    with suppress(Exception):  # a parser's edge: broken EXIF raises anything
        if opened.tiff is None:
            return orientation.exif_of(opened.picture, opened.main)
        exif.load_from_fp(opened.tiff.stream())
    return exif


def _load(opened: Opened, search_s: float) -> tuple[Image.Image, jpeg.Damage | None]:
    """The pixels as they are stored, and what is missing of them; `search_s` as in `jpeg`."""
    picture = opened.picture
    if opened.file is not None and jpeg.can_decode(picture):
        # What libjpeg-turbo's own interface does not know, Pillow may.
        with suppress(ValueError):
            return jpeg.decode(picture, opened.file.buffer, search_s=search_s)
    pages.show_frame(picture)
    if opened.file is not None and (bits := containers.png_bits(opened.file.head)):
        tones.scale_colour_key(picture, bits)
    return picture, None


def _warning_of(damage: jpeg.Damage) -> ItemWarning:
    """What is said of a damaged photo.

    Raises:
        NotAnImage: most of its rows are lost.
    """
    row, height = damage.first_bad_row, damage.height
    if damage.is_mostly_lost:
        raise NotAnImage(
            f"Most of the photo's pixels are missing: only {row} of its {height} rows are whole."
        )
    where = "" if row is None else f", from row {row} of {height} on"
    return ItemWarning("pixels_damaged", f"Some of the photo's pixels are missing or wrong{where}.")


def _profile_of(opened: Opened, exif: Image.Exif) -> bytes | None:
    """The ICC profile of a picture, or one made of what else its file says of its colours."""
    picture, nclx = opened.picture, None if opened.main is None else opened.main.nclx
    if picture.format == "PNG" and opened.file is not None:
        nclx = containers.png_code_points(opened.file.buffer)
        if nclx and (profile := colour.profile_of_nclx(nclx)):
            return profile
    if profile := picture.info.get("icc_profile"):
        return bytes(profile)
    if picture.format == "BMP" and opened.file is not None:
        return containers.bmp_profile(opened.file.buffer)
    if nclx is not None:
        return colour.profile_of_nclx(nclx)
    gamma, primaries = picture.info.get("gamma"), picture.info.get("chromaticity")
    if picture.format == "PNG" and ("srgb" in picture.info or gamma or primaries):
        return None if "srgb" in picture.info else colour.profile_of_png(gamma, primaries)
    is_adobe_rgb = picture.mode in ("RGB", "RGBA") and embedded.is_adobe_rgb(exif)
    return colour.profile_of_adobe_rgb() if is_adobe_rgb else None


def _name(picture: Image.Image) -> str:
    return "HEIC" if picture.format == "HEIF" else str(picture.format)
