"""Opens photos: finds the picture of a file that is meant, by its header. `decode` goes on."""

import functools
import io
import mmap
import warnings
from dataclasses import dataclass, replace
from typing import BinaryIO

import pillow_heif
from PIL import Image

from petsearch.domain import ItemWarning
from petsearch.domain.errors import NotAnImage, TooLarge
from petsearch.photos import boxes, containers, formats, pages
from petsearch.photos.formats import Buffer

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


class File:
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
class Opened:
    """A picture whose header was read: nothing is decoded."""

    picture: Image.Image
    content_type: str
    main: boxes.MainPicture | None = None
    """What the boxes of a HEIC or AVIF say."""
    file: File | None = None
    """What is decoded: the file, or the part or copy of it that was opened."""
    is_negative: bool = False
    """Whether its white is black, which the file says and Pillow does not undo."""
    tiff: File | None = None
    """The TIFF or raw file in which the picture is not the first one: its EXIF counts."""
    orientation: int | None = None
    """What the file says of it from outside, which counts where it says nothing itself."""
    warnings: tuple[ItemWarning, ...] = ()


@functools.cache
def register_formats() -> None:
    """Register the HEIC decoder with Pillow, once per process."""
    pillow_heif.register_heif_opener()


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


def open_picture(file: File, limits: ImageLimits) -> Opened:
    """Open the picture of a file that is to be shown, without its metadata if that is broken."""
    try:
        opened = _open_main(file)
    except NotAnImage as error:
        opened = open_repaired(file, error)
    width, height = opened.picture.size
    if width * height > limits.max_megapixels * 1e6:
        raise TooLarge(
            f"The picture declares {width} x {height} pixels "
            f"({width * height / 1e6:.0f} megapixels); "
            f"at most {limits.max_megapixels:g} are accepted."
        )
    return opened


def open_repaired(file: File, error: NotAnImage) -> Opened:
    """Without the parts that the pixels do not need.

    Raises:
        NotAnImage: `error`, if that is no help.
    """
    if (repaired := containers.pixels_alone(file.buffer[:])) is None:
        raise error
    try:
        opened = _open_main(File(repaired))
    except NotAnImage:
        raise error from None
    return _with_warning(opened, "metadata_ignored", "Broken parts beside its pixels were ignored.")


def _open_main(file: File) -> Opened:
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


def _open_tiff(file: File) -> Opened:
    if pages.is_unread_big_tiff(file.head):
        raise NotAnImage("This kind of TIFF, a big-endian BigTIFF, is not read; save it as JPEG.")
    found = pages.tiff_pages(file.buffer)
    main, tiff = found.main, None
    if found.is_raw:
        return replace(_open_preview(file), orientation=found.pages[0].orientation)
    if main is not None and main.offset != found.pages[0].offset:
        tiff = file
        file = File(pages.beginning_at(file.buffer[:], main.offset))
    is_negative = main is not None and main.is_deep_negative
    if main is not None and is_negative:
        file = File(pages.with_black_as_zero(file.buffer[:], main))
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


def _open_preview(file: File) -> Opened:
    """The largest JPEG in a camera's raw file."""
    if (preview := pages.largest_jpeg(file.buffer)) is None:
        raise NotAnImage(
            "The file is a camera's raw file without a JPEG in it; "
            f"convert it to {formats.ACCEPTED}."
        )
    opened = _open_with_pillow(File(preview))
    width, height = opened.picture.size
    tiff = file if pages.is_tiff(file.head) else None
    return _with_warning(
        replace(opened, content_type=formats.RAW_CONTENT_TYPE, tiff=tiff),
        "preview_used",
        f"A camera's raw file is shown by the JPEG in it, of {width} x {height} pixels.",
    )


def _open_with_pillow(file: File) -> Opened:
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
    return Opened(picture, formats.content_type_of(picture.format), file=file)


def _with_warning(opened: Opened, code: str, detail: str) -> Opened:
    return replace(opened, warnings=(*opened.warnings, ItemWarning(code, detail)))


def _with_left_out(opened: Opened, count: int) -> Opened:
    if count < 1:
        return opened
    return _with_warning(
        opened,
        "pictures_left_out",
        f"The file holds {count + 1} pictures; {count} of them "
        f"{'was' if count == 1 else 'were'} left out.",
    )
