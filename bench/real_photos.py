"""The Oxford-IIIT Pet photos as embeddings with their breeds, which the quality benchmarks rank."""

import io
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from datasets import Image as ImageColumn
from datasets import load_dataset
from numpy.typing import NDArray
from PIL import Image

from bench.shared_data import DATASET
from petsearch.domain import Embeddings, ModelInfo, normalise_name
from petsearch.domain.prompts import species_of
from petsearch.photos import to_pixels

if TYPE_CHECKING:
    from petsearch.adapters.clip.model import OpenClipModel

WAYS_TO_ASK = ("{}", "{} {species}", "lost {}", "cute {} puppy or kitten", "a {} on a sofa")
"""A breed's name as users write it."""
_BATCH_SIZE = 32


@dataclass(frozen=True)
class RealPhotos:
    """The photos of one split, in its order."""

    embeddings: Embeddings
    """float32 `(n, dim)`."""
    breeds: NDArray[np.str_]
    """`(n,)`, as `normalise_name` writes them."""
    coats: NDArray[np.float32]
    """`(n, 3)`: mean RGB (0..1) of the centre of each photo; a proxy for coat colour."""

    @property
    def species(self) -> NDArray[np.str_]:
        """`cat` or `dog`, `(n,)`."""
        return np.array([species_of(str(breed)) or "" for breed in self.breeds])

    def part(self, chosen: NDArray[np.intp] | NDArray[np.bool_]) -> "RealPhotos":
        """The chosen photos."""
        return RealPhotos(self.embeddings[chosen], self.breeds[chosen], self.coats[chosen])


def load_photos(
    model: "OpenClipModel", *, dataset: str = DATASET, split: str = "test", cache: Path | None
) -> RealPhotos:
    """Embed a split, or read its embeddings from `cache` if an earlier run stored them there."""
    kept = cache / f"{model.info.model_id}-{split}.npz" if cache else None
    if kept is not None and kept.exists():
        with np.load(kept) as arrays:
            return RealPhotos(arrays["embeddings"], arrays["breeds"], arrays["coats"])
    photos = _embed(model, dataset, split)
    if kept is not None:
        kept.parent.mkdir(parents=True, exist_ok=True)
        np.savez(kept, embeddings=photos.embeddings, breeds=photos.breeds, coats=photos.coats)
    return photos


def breeds_of(info: ModelInfo) -> list[str]:
    """The breeds that a model has labels for."""
    return [label.breed for label in info.labels]


def _embed(model: "OpenClipModel", dataset: str, split: str) -> RealPhotos:
    rows = load_dataset(dataset, split=split).cast_column("image", ImageColumn(decode=False))
    names = rows.features["label"].names
    embeddings: list[Embeddings] = []
    coats: list[NDArray[np.float32]] = []
    for start in range(0, len(rows), _BATCH_SIZE):
        encoded = rows[start : start + _BATCH_SIZE]["image"]
        pictures = [Image.open(io.BytesIO(entry["bytes"])).convert("RGB") for entry in encoded]
        pixels = np.stack([to_pixels(picture, model.info.pixel_spec) for picture in pictures])
        embeddings.append(model.encode_pixels(pixels))
        coats.append(_middle_colours(pixels))
    breeds = np.array([normalise_name(names[label]) for label in rows["label"]])
    return RealPhotos(np.concatenate(embeddings), breeds, np.concatenate(coats))


def _middle_colours(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Mean RGB of the middle third of uint8 `(n, 3, h, w)`, 0..1."""
    height, width = pixels.shape[2:]
    middle = pixels[:, :, height // 3 : -(height // 3), width // 3 : -(width // 3)]
    colours: NDArray[np.float32] = middle.mean(axis=(2, 3), dtype=np.float32) / 255
    return colours
