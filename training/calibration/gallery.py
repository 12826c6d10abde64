"""Photos or drawings that no training saw, as embeddings with what they show."""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from petsearch.adapters.clip.model import OpenClipModel
from petsearch.client import Photo
from petsearch.domain import Embeddings, normalise_name
from petsearch.domain.errors import InvalidInput
from petsearch.photos import ImageLimits, decode, preprocessing
from petsearch.sample.catalogue import catalogue
from training.drawings.evaluate import embed_drawings

SEED = 3
"""Of the drawings: no seed of the demo's, of training or of evaluation."""
_BATCH_SIZE = 32
_DECODED_SIDE = 640


@dataclass(frozen=True)
class Gallery:
    """Embeddings `(n, dim)`, and of each the breed and the species, `(n,)`."""

    embeddings: Embeddings
    breeds: NDArray[np.str_]
    species: NDArray[np.str_]

    def half(self, number: int) -> "Gallery":
        """Every second photo of each breed, from its first (0) or second (1) on."""
        chosen = np.zeros(len(self.breeds), bool)
        for breed in np.unique(self.breeds):
            chosen[np.flatnonzero(self.breeds == breed)[number::2]] = True
        return Gallery(self.embeddings[chosen], self.breeds[chosen], self.species[chosen])


def drawn_gallery(model: OpenClipModel, count: int, seed: int = SEED) -> Gallery:
    """The first `count` drawings of a seed; by default of one that nothing else uses."""
    drawings = list(catalogue(count, seed))
    return Gallery(
        embed_drawings(model, drawings),
        np.array([drawing.kind for drawing in drawings]),
        np.array([drawing.species for drawing in drawings]),
    )


def photo_gallery(model: OpenClipModel, photos: Iterable[Photo]) -> Gallery:
    """Photos whose metadata names their breed; those of breeds the model cannot name are left out.

    Raises:
        InvalidInput: no photo shows a breed that the model can name.
    """
    species_of = {label.breed: label.species for label in model.info.labels}
    embeddings: list[Embeddings] = []
    breeds: list[str] = []
    remaining = iter(photos)
    while batch := list(islice(remaining, _BATCH_SIZE)):
        named = [(p, normalise_name(str(p.metadata.get("breed", "")))) for p in batch]
        named = [(photo, breed) for photo, breed in named if breed in species_of]
        if named:
            pixels = np.stack([_pixels(model, photo) for photo, _ in named])
            embeddings.append(model.encode_pixels(pixels))
            breeds += [breed for _, breed in named]
    if not embeddings:
        raise InvalidInput("No photo is labelled with a breed that the model can name.")
    species = np.array([species_of[breed] for breed in breeds])
    return Gallery(np.concatenate(embeddings), np.array(breeds), species)


def _pixels(model: OpenClipModel, photo: Photo) -> NDArray[np.uint8]:
    picture = decode.decode(photo.data, ImageLimits(), at_least=_DECODED_SIDE).picture
    return preprocessing.to_pixels(picture, model.info.pixel_spec)
