"""Decodes photos: checked against limits, the right picture of the file, upright, sRGB, 8 bits.

`preprocessing` makes the model's pixels of the result, and `copies` what people see.
"""

import functools
import io
import mmap
import warnings
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import BinaryIO

import pillow_heif
from PIL import Image

from petsearch.domain import ItemWarning
from petsearch.domain.capture import NOT_STATED, Capture
from petsearch.domain.errors import NotAnImage, TooLarge
from petsearch.photos import (
    boxes,
    colour,
    containers,
    embedded,
    formats,
    jpeg,
    orientation,
    pages,
    tones,
)
from petsearch.photos.buffers import Buffer
from petsearch.photos.copies import DISPLAY_SIDE
from petsearch.photos.decode_memory import (
    bytes_to_decode,
    bytes_to_open,
    shrink_factor,
    smallest_size,
)

PIXELS_VERSION = 4
"""Grows when the same bytes become other pixels; `reconcile --pixels` remakes old ones."""

Encoded = bytes | BinaryIO
"""An encoded picture: its bytes, or a seekable file, which is not read into memory."""


@dataclass(frozen=True)
class ImageLimits:
    """Limits that are checked before a pixel is decoded."""

    max_bytes: int = 50 * 1024 * 1024
    max_megapixels: float = 120.0
    max_decode_bytes: int = 420_000_000
    """Memory that decoding may use: 0.3 to 17 bytes a pixel, depending on the format."""
    max_decode_s: float = 3.0
    """Processor time that decoding may use, where it runs in a process of its own."""


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


class _File:
    """An encoded picture, of which any part can be read; a real file takes no memory."""

    def __init__(self, data: Encoded) -> None:
        self._data = data
        self.size = len(data) if isinstance(data, bytes) else data.seek(0, io.SEEK_END)

    def stream(self) -> BinaryIO:
        """From its beginning. It must stay open until the picture is decoded."""
        if isinstance(self._data, bytes):
            return io.BytesIO(self._data)
        self._data.seek(0)
        return self._data

    @functools.cached_property
    def buffer(self) -> Buffer:
        """Its bytes."""
        if isinstance(self._data, bytes):
            return self._data
        try:
            return mmap.mmap(self._data.fileno(), 0, access=mmap.ACCESS_READ)
        except (OSError, io.UnsupportedOperation):
            return self.stream().read()

    @functools.cached_property
    def head(self) -> bytes:
        """Its first bytes."""
        return self.stream().read(formats.HEAD_BYTES)


@dataclass(frozen=True)
class _Opened:
    """A picture whose header was read: nothing is decoded."""

    picture: Image.Image
    content_type: str
    main: boxes.MainPicture | None = None
    """What the boxes of a HEIC or AVIF say."""
    file: _File | None = None
    """What is decoded: the file, or the part or copy of it that was opened."""
    is_negative: bool = False
    """Whether its white is black, which the file says and Pillow does not undo."""
    tiff: _File | None = None
    """The TIFF or raw file in which the picture is not the first one: its EXIF counts."""
    orientation: int | None = None
    """What the file says of it from outside, which counts where it says nothing itself."""
    warnings: tuple[ItemWarning, ...] = ()


@functools.cache
def register_formats() -> None:
    """Register the HEIC decoder with Pillow, once per process."""
    pillow_heif.register_heif_opener()


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
    file = _File(data)
    check_size(file.size, limits)
    if (to_open := bytes_to_open(file.head)) > limits.max_decode_bytes:
        raise TooLarge(
            f"Opening this WebP takes {to_open / 1e6:.0f} MB; "
            f"at most {limits.max_decode_bytes / 1e6:.0f} MB are allowed."
        )
    reserve(to_open)
    opened = _open(file, limits)
    declared = opened.picture.size
    reserve(_bytes_needed(opened.picture, limits, at_least))
    try:
        return _decode(opened, declared, at_least)
    except NotAnImage as error:
        opened = _open_repaired(file, error)
        reserve(_bytes_needed(opened.picture, limits, at_least))
        return _decode(opened, declared, at_least)


# --- opening -------------------------------------------------------------------------------------


def check_size(size: int, limits: ImageLimits) -> None:
    """Check the size in bytes of an encoded file.

    Raises:
        TooLarge, NotAnImage: it is larger than allowed, or empty.
    """
    if not size:
        raise NotAnImage("The file is empty (0 bytes).")
    if size > limits.max_bytes:
        raise TooLarge(
            f"The file has {size / 1e6:.1f} MB; "
            f"at most {limits.max_bytes / 1e6:.0f} MB are accepted."
        )


def _open(file: _File, limits: ImageLimits) -> _Opened:
    """Open the picture of a file that is to be shown, without its metadata if that is broken."""
    try:
        opened = _open_main(file)
    except NotAnImage as error:
        opened = _open_repaired(file, error)
    width, height = opened.picture.size
    if width * height > limits.max_megapixels * 1e6:
        raise TooLarge(
            f"The picture declares {width} x {height} pixels "
            f"({width * height / 1e6:.0f} megapixels); "
            f"at most {limits.max_megapixels:g} are accepted."
        )
    return opened


def _open_repaired(file: _File, error: NotAnImage) -> _Opened:
    """Without the parts that the pixels do not need.

    Raises:
        NotAnImage: `error`, if that is no help.
    """
    if (repaired := containers.pixels_alone(file.buffer[:])) is None:
        raise error
    try:
        opened = _open_main(_File(repaired))
    except NotAnImage:
        raise error from None
    return _with_warning(opened, "metadata_ignored", "Broken parts beside its pixels were ignored.")


def _open_main(file: _File) -> _Opened:
    if pages.is_camera_raw(file.head):
        return _open_preview(file)
    if pages.is_tiff(file.head):
        return _open_tiff(file)
    opened = _open_with_pillow(file)
    if opened.picture.format in ("HEIF", "AVIF"):
        opened = replace(opened, main=boxes.main_picture(file.buffer))
    if opened.picture.format == "HEIF":
        return _with_left_out(opened, getattr(opened.picture, "n_frames", 1) - 1)
    return opened


def _open_tiff(file: _File) -> _Opened:
    found = pages.tiff_pages(file.buffer)
    main, tiff = found.main, None
    if found.is_raw:
        return replace(_open_preview(file), orientation=found.pages[0].orientation)
    if main is not None and main.offset != found.pages[0].offset:
        tiff = file
        file = _File(pages.beginning_at(file.buffer[:], main.offset))
    is_negative = main is not None and main.is_deep_negative
    if main is not None and is_negative:
        file = _File(pages.with_black_as_zero(file.buffer[:], main))
    reason = None if main is None else main.reason_of_refusal
    if reason is not None and main is not None and main.is_misread:
        raise NotAnImage(reason)
    try:
        opened = _open_with_pillow(file)
    except NotAnImage as error:
        if reason is None:
            raise
        raise NotAnImage(reason) from error
    pages.read_as_stored(opened.picture)
    outer = None if main is None else main.inherited_orientation
    opened = replace(opened, is_negative=is_negative, tiff=tiff, orientation=outer)
    return _with_left_out(opened, found.left_out)


def _open_preview(file: _File) -> _Opened:
    """The largest JPEG in a camera's raw file."""
    if (preview := pages.largest_jpeg(file.buffer)) is None:
        raise NotAnImage(
            "The file is a camera's raw file without a JPEG in it; "
            f"convert it to {formats.ACCEPTED}."
        )
    opened = _open_with_pillow(_File(preview))
    width, height = opened.picture.size
    tiff = file if pages.is_tiff(file.head) else None
    return _with_warning(
        replace(opened, content_type=formats.RAW_CONTENT_TYPE, tiff=tiff),
        "preview_used",
        f"A camera's raw file is shown by the JPEG in it, of {width} x {height} pixels.",
    )


def _open_with_pillow(file: _File) -> _Opened:
    register_formats()
    # Pillow warns about large pictures and odd metadata; the limits apply instead.
    with warnings.catch_warnings(action="ignore"):
        try:
            picture = Image.open(file.stream(), formats=formats.PILLOW_FORMATS)
        except Image.DecompressionBombError as error:
            raise TooLarge("The picture declares too many pixels to be accepted.") from error
        except Exception as error:  # a decoder's edge: broken files raise anything
            if isinstance(error, MemoryError):
                raise TooLarge("Reading its header takes more memory than allowed.") from error
            raise NotAnImage(formats.reason_of_refusal(file.head)) from error
    return _Opened(picture, formats.content_type_of(picture.format), file=file)


def _with_warning(opened: _Opened, code: str, detail: str) -> _Opened:
    return replace(opened, warnings=(*opened.warnings, ItemWarning(code, detail)))


def _with_left_out(opened: _Opened, count: int) -> _Opened:
    if count < 1:
        return opened
    return _with_warning(
        opened,
        "pictures_left_out",
        f"The file holds {count + 1} pictures; {count} of them "
        f"{'was' if count == 1 else 'were'} left out.",
    )


# --- decoding ------------------------------------------------------------------------------------


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


def _decode(opened: _Opened, declared: tuple[int, int], at_least: int) -> DecodedImage:
    picture, found = opened.picture, opened.warnings
    with warnings.catch_warnings(action="ignore"):
        try:
            loaded, damage = _load(opened)
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


def _exif_of(opened: _Opened) -> Image.Exif:
    exif = Image.Exif()
    with suppress(Exception):  # a parser's edge: broken EXIF raises anything
        if opened.tiff is None:
            return orientation.exif_of(opened.picture, opened.main)
        exif.load_from_fp(opened.tiff.stream())
    return exif


def _load(opened: _Opened) -> tuple[Image.Image, jpeg.Damage | None]:
    """The pixels as they are stored, and what is missing of them."""
    picture = opened.picture
    if opened.file is not None and jpeg.can_decode(picture):
        # What libjpeg-turbo's own interface does not know, Pillow may.
        with suppress(ValueError):
            return jpeg.decode(picture, opened.file.buffer)
    pages.show_frame(picture)
    if opened.file is not None and containers.is_deep_png(opened.file.head):
        tones.halve_colour_key(picture)
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


def _profile_of(opened: _Opened, exif: Image.Exif) -> bytes | None:
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
