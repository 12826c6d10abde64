"""Altered copies and crops of photos, as people send them: to find their original among others."""

import io
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np
from datasets import Image as ImageColumn
from datasets import load_dataset
from PIL import Image, ImageEnhance, ImageOps

from petsearch.domain import Embeddings
from petsearch.photos import to_pixels

if TYPE_CHECKING:
    from petsearch.adapters.clip.model import OpenClipModel

Picture = Image.Image
Alteration = Callable[[Picture, np.random.Generator], Picture]


def crop(picture: Picture, side: float, left: float, top: float) -> Picture:
    """A part with `side` (0..1) of width and height; `left`, `top` 0..1 of the room for it."""
    width, height = round(picture.width * side), round(picture.height * side)
    x = round((picture.width - width) * left)
    y = round((picture.height - height) * top)
    return picture.crop((x, y, x + width, y + height))


def _cropped(side: float) -> Alteration:
    return lambda picture, random: crop(picture, side, random.random(), random.random())


def _jpeg(picture: Picture, quality: int) -> Picture:
    written = io.BytesIO()
    picture.save(written, "jpeg", quality=quality)
    return Image.open(written).convert("RGB")


def _rephotographed(picture: Picture, random: np.random.Generator) -> Picture:
    """Cropped, turned a little, brighter, paler and compressed again."""
    turned = crop(picture.rotate(4, Image.Resampling.BICUBIC), 0.85, random.random(), 0.5)
    paler = ImageEnhance.Color(ImageEnhance.Brightness(turned).enhance(1.25)).enhance(0.7)
    return _jpeg(paler, 40)


ALTERATIONS: dict[str, Alteration] = {
    "JPEG quality 30": lambda picture, _: _jpeg(picture, 30),
    "a third of the size": lambda picture, _: picture.resize(
        (picture.width // 3, picture.height // 3)
    ),
    "30 % brighter": lambda picture, _: ImageEnhance.Brightness(picture).enhance(1.3),
    "grey": lambda picture, _: ImageOps.grayscale(picture).convert("RGB"),
    "mirrored": lambda picture, _: ImageOps.mirror(picture),
    "cropped to 80 % of each side": _cropped(0.8),
    "cropped to 60 %": _cropped(0.6),
    "cropped to 40 %": _cropped(0.4),
    "turned, cropped, paler, compressed": _rephotographed,
}
REGIONS: tuple[tuple[float, float, float], ...] = (
    (1.0, 0.0, 0.0),
    (0.8, 0.0, 0.0),
    (0.8, 1.0, 0.0),
    (0.8, 0.0, 1.0),
    (0.8, 1.0, 1.0),
    (0.6, 0.5, 0.5),
)
"""The whole picture, its corners and its middle: `side, left, top` of `crop`."""


def load_pictures(dataset: str, every: int) -> list[Picture]:
    """Every so manieth photo of the test split, from its first."""
    rows = load_dataset(dataset, split="test").cast_column("image", ImageColumn(decode=False))
    encoded = (rows[number]["image"]["bytes"] for number in range(0, len(rows), every))
    return [Image.open(io.BytesIO(data)).convert("RGB") for data in encoded]


def altered(pictures: Sequence[Picture], alteration: Alteration, seed: int = 7) -> list[Picture]:
    """Each picture altered; the same seed alters it in the same way."""
    random = np.random.default_rng(seed)
    return [alteration(picture, random) for picture in pictures]


def regions_of(pictures: Sequence[Picture]) -> list[list[Picture]]:
    """For each of `REGIONS` the same part of every picture."""
    return [[crop(picture, *region) for picture in pictures] for region in REGIONS]


def embed(model: "OpenClipModel", pictures: Sequence[Picture], batch: int = 32) -> Embeddings:
    """float32 `(n, dim)`."""
    spec = model.info.pixel_spec
    parts = [
        model.encode_pixels(np.stack([to_pixels(p, spec) for p in pictures[start : start + batch]]))
        for start in range(0, len(pictures), batch)
    ]
    rows: Embeddings = np.concatenate(parts)
    return rows


def mean_of(parts: Sequence[Embeddings]) -> Embeddings:
    """The normalised means of embeddings `(n, dim)` each."""
    total = np.sum(parts, axis=0)
    rows: Embeddings = total / np.linalg.norm(total, axis=1, keepdims=True)
    return rows
