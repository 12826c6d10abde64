"""Decodes JPEGs with libjpeg-turbo, and finds out where one is damaged.

Pillow uses the same library, with the same pixels, and hides its warnings. Damage is what the
entropy decoder sees: it ran out of data, met a code that does not exist, or a marker where none may
be. Not seen this way: a bit that became another valid code, and the missing last scans of a
progressive file, which only make it less sharp; nor a JPEG inside a TIFF, which Pillow decodes.
"""

import re
import time
from dataclasses import dataclass

import numpy as np
import simplejpeg
from numpy.typing import NDArray
from PIL import Image

from petsearch.photos import containers
from petsearch.photos.formats import Buffer

END = b"\xff\xd9"
_COLOURS = {"RGB": "RGB", "L": "GRAY", "CMYK": "CMYK"}
# In the data of a scan, 0xFF is followed by 0, by a restart marker or by more 0xFF; between the
# scans of a progressive file stand tables (DHT, DQT, DRI), comments and the next scan.
_STRAY_MARKER = re.compile(rb"\xff[^\x00\xd0-\xd7\xff\xc4\xda\xdb\xdd\xfe]")
_ONE_BYTE_AGAIN = re.compile(rb"(.)\1{63}", re.DOTALL)
_RAN_OUT = "premature end"
_BEFORE_END = re.compile(r"(\d+) extraneous bytes before marker 0xd9")
_READ_AHEAD = 8
"""Bytes that libjpeg may hold when it needs no more."""
_SEQUENTIAL = (0xC0, 0xC1)
"""Markers of frames whose scans hold whole blocks."""
_SHORTEST_SCAN, _WHOLE_BAND = 8, b"\0\x3f\0"
_SCALE = 8


@dataclass(frozen=True)
class Damage:
    """Where the pixels of a JPEG begin to be wrong."""

    first_bad_row: int | None
    """Of the stored picture; None if the place cannot be found, or not in time."""
    height: int

    @property
    def is_mostly_lost(self) -> bool:
        """Whether under half of the rows are good."""
        return self.first_bad_row is not None and 2 * self.first_bad_row < self.height


def can_decode(picture: Image.Image) -> bool:
    """Whether `decode` knows the colours of a picture that Pillow opened."""
    return picture.format in ("JPEG", "MPO") and picture.mode in _COLOURS


def decode(
    picture: Image.Image, data: Buffer, *, search_s: float
) -> tuple[Image.Image, Damage | None]:
    """The pixels of a JPEG that Pillow opened, at the size that `draft` set, and what is wrong.

    Args:
        data: the encoded file.
        search_s: processor time that may be spent on finding the first bad row.

    Raises:
        ValueError: it cannot be decoded at all.
    """
    colours, size = _COLOURS[picture.mode], picture.size
    try:
        return _as_picture(_pixels(data, colours, size, strict=True)), None
    except ValueError:
        # All pixels may be there, and only the marker behind them missing.
        closed = data[:] + END
        damage = _damage_of(closed, search_s)
        return _as_picture(_pixels(closed, colours, size, strict=False)), damage


def _pixels(
    data: Buffer, colours: str, size: tuple[int, int], *, strict: bool
) -> NDArray[np.uint8]:
    width, height = size
    found: NDArray[np.uint8] = simplejpeg.decode_jpeg(
        data, colours, min_width=width, min_height=height, strict=strict
    )
    if found.shape[:2] != (height, width):
        raise ValueError(f"decoded to {found.shape[1]} x {found.shape[0]}, not {width} x {height}")
    return found


def _as_picture(pixels: NDArray[np.uint8]) -> Image.Image:
    height, width, bands = pixels.shape
    if bands == 4:
        # Inverted, as Adobe stores it and Pillow reads it.
        return Image.frombytes("CMYK", (width, height), pixels, "raw", "CMYK;I")
    return Image.fromarray(pixels[..., 0] if bands == 1 else pixels)


# --- where it is damaged -------------------------------------------------------------------------


def _damage_of(data: bytes, search_s: float) -> Damage | None:
    """What is damaged; None if all that libjpeg warned of leaves the pixels as they are."""
    bare, begin = _bare(data)
    started = time.thread_time()
    warning = _first_warning(bare)
    # For the row of a place, the file is decoded twice more.
    until = started + search_s - 2 * (time.thread_time() - started)
    if not warning or _is_padding(bare[begin : bare.find(END, begin)], warning):
        return None
    height = simplejpeg.decode_jpeg_header(bare, strict=False)[0]
    place = _first_bad_place(bare, begin, warning, until)
    row = None if place is None else _first_row_behind(bare, place, height)
    return Damage(row, height)


def _bare(data: bytes) -> tuple[bytes, int]:
    """The tables and scans of a JPEG alone, and where the first scan begins.

    Nothing else in it is damage: thumbnails hold scans of their own, and libjpeg warns of odd
    versions and unknown colour transforms.

    Raises:
        ValueError: it has no scan.
    """
    kept, is_sequential = [data[:2]], False
    for marker, segment in containers.jpeg_segments(data):
        if marker == containers.JPEG_SCAN and len(segment) > _SHORTEST_SCAN:
            if is_sequential:
                # The band of a scan, which is always the same; decoders do not read it.
                end = 2 + segment[3]
                segment = segment[: end - 3] + _WHOLE_BAND + segment[end:]
            header = b"".join(kept)
            return header + segment, len(header) + 2
        is_sequential = is_sequential or marker in _SEQUENTIAL
        if marker not in containers.JPEG_APPS and marker != containers.JPEG_COMMENT:
            kept.append(segment)
    raise ValueError("It has no scan.")


def _is_padding(scan: bytes, warning: str) -> bool:
    """Whether all that is wrong is that zeros stand between the last row and the end."""
    if (found := _BEFORE_END.search(warning)) is None:
        return False
    left_over, zeros = int(found[1]), len(scan) - len(scan.rstrip(b"\0"))
    # Zeros in place of the last rows were read as rows in part: more of them are there then.
    return left_over <= zeros <= left_over + _READ_AHEAD


def _first_bad_place(data: bytes, begin: int, warning: str, until: float) -> int | None:
    """Where the data stop being the picture's.

    Args:
        until: the processor time of this thread after which the search is given up: None.
    """
    if time.thread_time() >= until:
        return None
    found = (pattern.search(data, begin) for pattern in (_STRAY_MARKER, _ONE_BYTE_AGAIN))
    end = min((match.start() for match in found if match), default=len(data))
    place = end if _RAN_OUT in warning else _first_bad_code(data, begin, end, until)
    return place if time.thread_time() < until else None


def _first_bad_code(data: bytes, begin: int, end: int, until: float) -> int | None:
    """Where the decoder meets a code that does not exist; `end` if it meets none before.

    libjpeg reports its first warning only. That of a shorter file is that it ran out, unless it is
    cut behind the bad code. None if time is up before that is found.
    """
    good, bad, middle = begin, end, end
    while bad - good > 1:
        if time.thread_time() >= until:
            return None
        if _RAN_OUT in _first_warning(data[:middle] + END):
            good = middle
        else:
            bad = middle
        middle = (good + bad) // 2
    return bad


def _first_warning(data: bytes) -> str:
    try:
        _small(data, strict=True)
    except ValueError as warning:
        return str(warning).lower()
    return ""


def _first_row_behind(data: bytes, place: int, height: int) -> int | None:
    """The first row that depends on what comes behind `place`.

    Two copies of the file with different noise there have the same rows before it.
    """
    noise = np.random.default_rng(0).integers(0, 255, (2, max(64, len(data) - place)), np.uint8)
    try:
        one, other = (_small(data[:place] + n.tobytes() + END, strict=False) for n in noise)
    except ValueError:
        return None
    rows = np.flatnonzero((one != other).any(axis=(1, 2)))
    return min(int(rows[0]) * _SCALE, height - 1) if rows.size else None


def _small(data: bytes, *, strict: bool) -> NDArray[np.uint8]:
    is_cmyk = simplejpeg.decode_jpeg_header(data, strict=False)[2] == "CMYK"
    colours = "CMYK" if is_cmyk else "RGB"
    found: NDArray[np.uint8] = simplejpeg.decode_jpeg(
        data, colours, min_width=1, min_height=1, min_factor=_SCALE, strict=strict
    )
    return found
