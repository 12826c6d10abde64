"""Pictures of up to 100 megapixels in common formats, one file per format."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pillow_heif
from PIL import Image

_SIDE = 10_000


def write_huge(kind: str, path: Path) -> None:
    """Write the picture of a kind, one of `KINDS`."""
    KINDS[kind](path)


def _smooth(width: int = _SIDE, height: int = _SIDE) -> Image.Image:
    coarse = np.random.default_rng(0).integers(0, 256, (40, 40, 3), dtype=np.uint8)
    return Image.fromarray(coarse).resize((width, height), Image.Resampling.BILINEAR)


def _blocks() -> Image.Image:
    coarse = np.random.default_rng(0).integers(0, 256, (40, 40, 3), dtype=np.uint8)
    return Image.fromarray(coarse).resize((_SIDE, _SIDE), Image.Resampling.NEAREST)


def _saver(make: Callable[[], Image.Image], kind: str, **options: object) -> Callable[[Path], None]:
    def save(path: Path) -> None:
        make().save(path, kind, **options)

    return save


def _clear_blocks() -> Image.Image:
    picture = _blocks()
    picture.putalpha(Image.linear_gradient("L").resize(picture.size, Image.Resampling.NEAREST))
    return picture


def _grey_16() -> Image.Image:
    row = np.arange(_SIDE, dtype=np.uint16) * 6
    return Image.fromarray(np.broadcast_to(row, (_SIDE, _SIDE)).copy())


def _heic(path: Path) -> None:
    pillow_heif.from_pillow(_smooth(8064, 6048)).save(path, quality=50)


KINDS: dict[str, Callable[[Path], None]] = {
    "baseline JPEG, 100 MP": _saver(_smooth, "JPEG"),
    "progressive JPEG 4:2:0, 100 MP": _saver(_smooth, "JPEG", progressive=True),
    "progressive JPEG 4:4:4, 100 MP": _saver(_smooth, "JPEG", progressive=True, subsampling=0),
    "PNG RGB, 100 MP": _saver(_smooth, "PNG", compress_level=1),
    "PNG RGBA, 100 MP": _saver(_clear_blocks, "PNG", compress_level=1),
    "PNG 16-bit grey, 100 MP": _saver(_grey_16, "PNG", compress_level=1),
    "TIFF RGB, 100 MP": _saver(_blocks, "TIFF", compression="tiff_adobe_deflate"),
    "WebP, 24 MP": _saver(lambda: _smooth(6000, 4000), "WEBP", method=0),
    "HEIC, 49 MP": _heic,
}
