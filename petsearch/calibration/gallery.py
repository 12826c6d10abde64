"""Labelled photos as embeddings with their breeds and species."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from petsearch.domain import Embeddings


@dataclass(frozen=True)
class Gallery:
    """Embeddings `(n, dim)`, and the breed and species of each, `(n,)`."""

    embeddings: Embeddings
    breeds: NDArray[np.str_]
    species: NDArray[np.str_]

    def half(self, number: int) -> "Gallery":
        """Every second photo of each breed, starting with its first (0) or second (1)."""
        chosen = np.zeros(len(self.breeds), bool)
        for breed in np.unique(self.breeds):
            chosen[np.flatnonzero(self.breeds == breed)[number::2]] = True
        return Gallery(self.embeddings[chosen], self.breeds[chosen], self.species[chosen])
