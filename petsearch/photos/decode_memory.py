"""Estimates the memory that decoding a picture takes, and limits what threads use together.

The figures are measured (`make bench-memory` checks them): Pillow stores RGB as 4 bytes a pixel,
libjpeg keeps every coefficient of a progressive file, and the WebP and HEIC libraries keep whole
frames of their own in addition to Pillow's.
"""

import math
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, cast

from PIL import Image, JpegImagePlugin, TiffImagePlugin

from petsearch.domain import deadline
from petsearch.domain.errors import Unavailable

SHRINK_ABOVE_PIXELS = 20_000_000
"""Larger pictures are reduced right after decoding, before they are copied."""
SHORTEST_SIDE = 640
"""The shorter side is never reduced below this; no supported model needs more pixels."""
FREE_BYTES = 32_000_000
"""A process that decodes may take so much without a place in the budget of all."""
SPARE_BYTES = 64_000_000
"""Beside the estimate: strips that are being converted, code loaded late, freed pieces of heap."""
_FILE_COPIES = 3
"""Some readers copy the file, or unpack parts of it."""
_BYTES_PER_PIXEL = {"1": 1, "L": 1, "P": 1, "I;16": 2, "I;16B": 2, "I;16L": 2, "I;16N": 2}
_RGB_BYTES = 4
_WEBP_BYTES = 17
_AVIF_BYTES = 11
_ANIMATION_BYTES = 8
"""To see whether a frame is blank."""
_HEIF_BYTES = {(420, 8): 7.5}
_HEIF_BYTES_AT_MOST = 12.0
_ROWS_PER_STRIP, _BITS_PER_SAMPLE, _TILE_WIDTH, _TILE_LENGTH = 278, 258, 322, 323


class Budget:
    """A fair semaphore with weights: what all threads spend together stays within a limit.

    First come, first served, so that small amounts cannot starve a large one. An amount larger
    than the limit waits until nothing else is spent.

    Args:
        limit: in the unit that `spend` takes.
    """

    def __init__(self, limit: float) -> None:
        self._limit = limit
        self._used = 0.0
        self._changed = threading.Condition()
        self._waiting: deque[object] = deque()

    @contextmanager
    def spend(self, amount: float) -> Iterator[None]:
        """Wait for room for `amount`, and release it at the end of the block.

        Raises:
            Unavailable: the deadline of the request has passed.
        """
        cost = min(amount, self._limit)
        with self._changed:
            self._take(cost)
        try:
            yield
        finally:
            with self._changed:
                self._used -= cost
                self._changed.notify_all()

    def _take(self, cost: float) -> None:
        turn = object()
        self._waiting.append(turn)
        try:
            most_s = deadline.left_s()
            has_room = self._changed.wait_for(
                lambda: self._waiting[0] is turn and self._used + cost <= self._limit,
                None if most_s == math.inf else most_s,
            )
            if not has_room:
                raise Unavailable("There was no memory for decoding the photo in time.")
            self._used += cost
        finally:
            self._waiting.remove(turn)
            self._changed.notify_all()


def smallest_size(size: tuple[int, int], at_least: int) -> tuple[int, int]:
    """The smallest allowed size of a reduced picture: `at_least` x `SHORTEST_SIDE`."""
    across = min(at_least, SHORTEST_SIDE)
    return (at_least, across) if size[0] >= size[1] else (across, at_least)


def shrink_factor(size: tuple[int, int], at_least: int) -> int:
    """The divisor for the sides of a picture of `size` (width, height) before it is copied."""
    if math.prod(size) <= SHRINK_ABOVE_PIXELS:
        return 1
    left = smallest_size(size, at_least)
    return max(1, min(size[0] // left[0], size[1] // left[1]))


def file_bytes(size: int) -> int:
    """What readers hold of an encoded file of `size` bytes, before a pixel is decoded."""
    return _FILE_COPIES * size


def bytes_to_open(head: bytes) -> int:
    """What reading the header of a file takes, which begins with `head`: much for WebP only.

    Its library sets two canvases aside, of the size that the file declares.
    """
    if head[:4] != b"RIFF" or head[8:12] != b"WEBP":
        return 0
    if head[12:16] == b"VP8X":
        size = [1 + int.from_bytes(head[at : at + 3], "little") for at in (24, 27)]
    elif head[12:16] == b"VP8L":
        bits = int.from_bytes(head[21:25], "little")
        size = [1 + (bits >> shift & 0x3FFF) for shift in (0, 14)]
    else:
        size = [int.from_bytes(head[at : at + 2], "little") & 0x3FFF for at in (26, 28)]
    return 2 * _RGB_BYTES * math.prod(size)


def bytes_to_decode(picture: Image.Image, declared: tuple[int, int], at_least: int) -> int:
    """The peak memory of decoding: what the library needs, plus one RGB copy.

    Args:
        picture: opened and drafted, but not loaded.
        declared: width and height before `Image.draft`.
        at_least: see `shrink_factor`.
    """
    pixels = math.prod(picture.size)
    copy = _RGB_BYTES * pixels / shrink_factor(picture.size, at_least) ** 2
    return math.ceil(pixels * _bytes_per_pixel(picture) + _overhead(picture, declared) + copy)


def _bytes_per_pixel(picture: Image.Image) -> float:
    if picture.format == "WEBP":
        return _WEBP_BYTES
    if picture.format == "AVIF":
        return _AVIF_BYTES
    if picture.format == "HEIF":
        kind = (int(picture.info.get("chroma", 0)), int(picture.info.get("bit_depth", 0)))
        return _HEIF_BYTES.get(kind, _HEIF_BYTES_AT_MOST)
    return _BYTES_PER_PIXEL.get(picture.mode, _RGB_BYTES)


def _overhead(picture: Image.Image, declared: tuple[int, int]) -> float:
    if isinstance(picture, JpegImagePlugin.JpegImageFile):
        # libjpeg-turbo's pixels, before they are copied into Pillow's.
        samples = max(3, len(picture.getbands()))
        return samples * math.prod(picture.size) + _coefficient_bytes(picture, declared)
    if isinstance(picture, TiffImagePlugin.TiffImageFile):
        return _strip_bytes(picture)
    if picture.format in ("GIF", "PNG", "AVIF") and getattr(picture, "is_animated", False):
        return _ANIMATION_BYTES * math.prod(picture.size)
    return 0


def _coefficient_bytes(picture: JpegImagePlugin.JpegImageFile, declared: tuple[int, int]) -> float:
    """libjpeg keeps 16 bits per coefficient if no single scan holds all components."""
    if not (picture.info.get("progressive") or _has_several_scans(picture)):
        return 0
    sampling = [(layer[1], layer[2]) for layer in picture.layer]
    # A broken header may declare 0.
    whole = max(1, max(h for h, _ in sampling) * max(v for _, v in sampling))
    return 2 * math.prod(declared) * sum(h * v for h, v in sampling) / whole


def _has_several_scans(picture: JpegImagePlugin.JpegImageFile) -> bool:
    # Pillow has read to the end of the first scan header: marker, length, components, ….
    components = len(picture.layer)
    stream = cast(IO[bytes], picture.fp)
    end = stream.tell()
    stream.seek(max(0, end - 8 - 2 * components))
    header = stream.read(5)
    stream.seek(end)
    return header != b"\xff\xda" + (6 + 2 * components).to_bytes(2, "big") + bytes([components])


def _strip_bytes(picture: TiffImagePlugin.TiffImageFile) -> float:
    tags = picture.tag_v2
    bits = sum(tags.get(_BITS_PER_SAMPLE, (8,)))
    if _TILE_WIDTH in tags:
        # Whole, however small the picture is that lies in it.
        return int(tags[_TILE_WIDTH]) * int(tags.get(_TILE_LENGTH, 0)) * bits / 8
    rows = int(tags.get(_ROWS_PER_STRIP) or picture.height)
    return min(rows, picture.height) * picture.width * bits / 8
