"""Embeddings of real photos and altered copies of them, on which approximate search is measured."""

import io
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from datasets import Image as ImageColumn
from datasets import load_dataset
from PIL import Image, ImageOps

from bench.galleries import jittered, lifted
from petsearch.domain import Embeddings, Pixels
from petsearch.photos import to_pixels

if TYPE_CHECKING:
    from petsearch.adapters.clip.model import OpenClipModel

JITTER = 0.3
"""Length of the noise that tops a gallery up: a copy has a cosine of 0.96 with its photo."""
LIFT_NOISE = 0.05
"""Noise that every embedding gets once it is lifted: it then fills all dimensions."""
_BATCH_SIZE = 32
_CROPPED_TO = (0.6, 0.9)


def embed_augmented(
    model: "OpenClipModel",
    dataset: str,
    *,
    copies: int,
    limit: int | None,
    cache: Path | None,
    seed: int = 5,
) -> Embeddings:
    """The train split, each photo as it is and `copies` times cropped and perhaps mirrored.

    Returns: float32 `(photos * (1 + copies), dim)`; read from the folder `cache` if it is there.
    """
    name = f"{model.info.model_id}-train-{limit or 'all'}-{copies}.npy"
    kept = cache / name if cache else None
    if kept is not None and kept.exists():
        found: Embeddings = np.load(kept)
        return found
    random = np.random.default_rng(seed)
    rows = [
        model.encode_pixels(pixels) for pixels in _batches(model, dataset, copies, limit, random)
    ]
    embeddings: Embeddings = np.concatenate(rows)
    if kept is not None:
        kept.parent.mkdir(parents=True, exist_ok=True)
        np.save(kept, embeddings)
    return embeddings


def topped_up(rows: Embeddings, count: int, dim: int, seed: int = 6) -> Embeddings:
    """`(count, dim)`: `rows` lifted to `dim`, then copies of them with noise until it is enough."""
    random = np.random.default_rng(seed)
    rows = jittered(lifted(rows, dim), LIFT_NOISE, random)[:count]
    chosen = random.integers(len(rows), size=count - len(rows))
    more = [jittered(rows[part], JITTER, random) for part in np.array_split(chosen, 50)]
    return np.concatenate([rows, *more])


def _batches(
    model: "OpenClipModel",
    dataset: str,
    copies: int,
    limit: int | None,
    random: np.random.Generator,
) -> Iterator[Pixels]:
    photos = load_dataset(dataset, split="train").cast_column("image", ImageColumn(decode=False))
    count = min(limit or len(photos), len(photos))
    waiting: list[Pixels] = []
    for number in range(count):
        encoded = photos[number]["image"]["bytes"]
        picture = Image.open(io.BytesIO(encoded)).convert("RGB")
        pictures = [picture, *(_altered(picture, random) for _ in range(copies))]
        waiting += [to_pixels(each, model.info.pixel_spec) for each in pictures]
        if len(waiting) >= _BATCH_SIZE or number == count - 1:
            yield np.stack(waiting)
            waiting = []


def _altered(picture: Image.Image, random: np.random.Generator) -> Image.Image:
    share = random.uniform(*_CROPPED_TO)
    width, height = int(picture.width * share), int(picture.height * share)
    left = int(random.integers(picture.width - width + 1))
    top = int(random.integers(picture.height - height + 1))
    part = picture.crop((left, top, left + width, top + height))
    return ImageOps.mirror(part) if random.random() < 0.5 else part
