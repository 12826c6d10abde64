"""Perceptual hashes: 64 bits that hardly change when a picture is resized or recompressed.

pHash: the lowest 8 x 8 frequencies of the cosine transform of 32 x 32 grey pixels, each above (1)
or below (0) their median. For the choice see docs/adr/0011.
"""

import functools
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image

_SIDE = 32
_FREQUENCIES = 8
_LEAST_CONTRAST = 2.0
"""Standard deviation of the grey pixels, of 255, under which a picture has no structure."""


def grey_pixels(picture: Image.Image) -> bytes:
    """The 32 x 32 grey pixels that the hash is computed from, row by row."""
    # Smoothed first: otherwise fine patterns alias into the low frequencies.
    small = picture.resize((_SIDE, _SIDE), Image.Resampling.BILINEAR, reducing_gap=2.0)
    return small.convert("L").tobytes()


def hashes_of(greys: Sequence[bytes]) -> list[str | None]:
    """The hash of each picture, from its `grey_pixels`; None for one without structure.

    All pictures without structure would have the same hash, which says nothing of what they show.

    As one batch: for arrays this small, the overhead of numpy calls outweighs the computation.
    """
    pixels = np.frombuffer(b"".join(greys), dtype=np.uint8).reshape(-1, _SIDE, _SIDE)
    waves = _cosine_waves()
    # Rounded, so that the zeros of a flat picture are exact on every machine.
    low = (waves @ pixels.astype(np.float64) @ waves.T).reshape(len(greys), -1).round(2)
    # Without the first, the mean brightness, which would shift the median of a flat picture.
    # The median of 63 values is the middle one; sorting is faster than numpy.median.
    medians = np.sort(low[:, 1:], axis=1)[:, 31, None]
    has_structure = pixels.std(axis=(1, 2)) >= _LEAST_CONTRAST
    digits = [bits.tobytes().hex() for bits in np.packbits(low > medians, axis=1)]
    return [found if is_one else None for found, is_one in zip(digits, has_structure, strict=True)]


@functools.cache
def _cosine_waves() -> NDArray[np.float64]:
    """The first rows of the DCT-II matrix: `(8, 32)`."""
    frequencies = np.arange(_FREQUENCIES)[:, None]
    positions = 2 * np.arange(_SIDE)[None, :] + 1
    return np.cos(np.pi * frequencies * positions / (2 * _SIDE))
