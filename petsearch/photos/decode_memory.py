"""What decoding a picture holds in memory, told from its header, and a budget to share it.

The figures are measured (`make bench-memory` holds them to it): Pillow keeps RGB as 4 bytes a
pixel, libjpeg keeps every coefficient of a progressive file, and the libraries for WebP and HEIC
keep whole frames of their own beside Pillow's.
"""

import math
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, cast

from PIL import Image, JpegImagePlugin, TiffImagePlugin

SHRINK_ABOVE_PIXELS = 20_000_000
"""Larger pictures are made smaller right after they are decoded, before anything copies them."""
SHORTEST_SIDE = 640
"""No picture is made smaller than this on its shorter side; no model wants more pixels."""
_BYTES_PER_PIXEL = {"1": 1, "L": 1, "P": 1, "I;16": 2, "I;16B": 2, "I;16L": 2, "I;16N": 2}
_RGB_BYTES = 4
_WEBP_BYTES = 17
_HEIF_BYTES = {(420, 8): 7.5}
_HEIF_BYTES_AT_MOST = 12.0
_ROWS_PER_STRIP, _BITS_PER_SAMPLE, _TILE_LENGTH = 278, 258, 323


class Budget:
    """Lets threads pass as long as what they hold together stays under a limit.

    First come, first served: small things do not overtake a big one for ever. Something larger
    than the whole budget passes alone.

    Args:
        limit: in any unit, the one that `spend` is given.
    """

    def __init__(self, limit: float) -> None:
        self._limit = limit
        self._used = 0.0
        self._changed = threading.Condition()
        self._waiting: deque[object] = deque()

    @contextmanager
    def spend(self, amount: float) -> Iterator[None]:
        """Wait for room for `amount`, and give it back at the end."""
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
            self._changed.wait_for(
                lambda: self._waiting[0] is turn and self._used + cost <= self._limit
            )
            self._used += cost
        finally:
            self._waiting.remove(turn)
            self._changed.notify_all()


def smallest_size(size: tuple[int, int], at_least: int) -> tuple[int, int]:
    """What must be left of a picture of `size`: `at_least`, and `SHORTEST_SIDE` across."""
    across = min(at_least, SHORTEST_SIDE)
    return (at_least, across) if size[0] >= size[1] else (across, at_least)


def shrink_factor(size: tuple[int, int], at_least: int) -> int:
    """By how much a picture of `size` (width, height) is divided before it is copied."""
    if math.prod(size) <= SHRINK_ABOVE_PIXELS:
        return 1
    left = smallest_size(size, at_least)
    return max(1, min(size[0] // left[0], size[1] // left[1]))


def bytes_to_decode(picture: Image.Image, declared: tuple[int, int], at_least: int) -> int:
    """The most bytes that decoding holds at a time: what the library needs, and one copy in RGB.

    Args:
        picture: opened, `draft` called, not loaded.
        declared: width and height before `draft`.
        at_least: see `shrink_factor`.
    """
    pixels = math.prod(picture.size)
    copy = _RGB_BYTES * pixels / shrink_factor(picture.size, at_least) ** 2
    return math.ceil(pixels * _bytes_per_pixel(picture) + _beside(picture, declared) + copy)


def _bytes_per_pixel(picture: Image.Image) -> float:
    if picture.format == "WEBP":
        return _WEBP_BYTES
    if picture.format == "HEIF":
        kind = (int(picture.info.get("chroma", 0)), int(picture.info.get("bit_depth", 0)))
        return _HEIF_BYTES.get(kind, _HEIF_BYTES_AT_MOST)
    return _BYTES_PER_PIXEL.get(picture.mode, _RGB_BYTES)


def _beside(picture: Image.Image, declared: tuple[int, int]) -> float:
    if isinstance(picture, JpegImagePlugin.JpegImageFile):
        return _coefficient_bytes(picture, declared)
    if isinstance(picture, TiffImagePlugin.TiffImageFile):
        return _strip_bytes(picture)
    return 0


def _coefficient_bytes(picture: JpegImagePlugin.JpegImageFile, declared: tuple[int, int]) -> float:
    """libjpeg keeps 16 bits per coefficient of files whose scans do not hold all components."""
    if not (picture.info.get("progressive") or _has_several_scans(picture)):
        return 0
    sampling = [(layer[1], layer[2]) for layer in picture.layer]
    # A broken header may say 0.
    whole = max(1, max(h for h, _ in sampling) * max(v for _, v in sampling))
    return 2 * math.prod(declared) * sum(h * v for h, v in sampling) / whole


def _has_several_scans(picture: JpegImagePlugin.JpegImageFile) -> bool:
    # Pillow has read up to the end of the first scan's header: marker, length, components, ….
    components = len(picture.layer)
    stream = cast(IO[bytes], picture.fp)
    end = stream.tell()
    stream.seek(max(0, end - 8 - 2 * components))
    header = stream.read(5)
    stream.seek(end)
    return header != b"\xff\xda" + (6 + 2 * components).to_bytes(2, "big") + bytes([components])


def _strip_bytes(picture: TiffImagePlugin.TiffImageFile) -> float:
    tags = picture.tag_v2
    rows = int(tags.get(_TILE_LENGTH) or tags.get(_ROWS_PER_STRIP) or picture.height)
    bits = sum(tags.get(_BITS_PER_SAMPLE, (8,)))
    return min(rows, picture.height) * picture.width * bits / 8
