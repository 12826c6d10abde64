"""Splits photos into those to train on and those for validation."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from petsearch.domain.errors import InvalidInput


@dataclass(frozen=True)
class Split:
    """Indices of the photos in each part, ascending."""

    train: NDArray[np.int64]
    validation: NDArray[np.int64]


def split_photos(labels: NDArray[np.int64], share: float, seed: int) -> Split:
    """Draw `share` of each class for validation, at least one photo per class.

    Raises:
        InvalidInput: a class has only one photo, or there is only one class.
    """
    classes, counts = np.unique(labels, return_counts=True)
    if len(classes) < 2:
        raise InvalidInput("Training needs photos of at least two classes.")
    if counts.min() < 2:
        lonely = int(classes[counts.argmin()])
        raise InvalidInput(
            f"Class number {lonely} has only one photo that can be decoded; it needs at least two, "
            "one of them for validation."
        )
    rng = np.random.default_rng(seed)
    kept: list[NDArray[np.int64]] = []
    for label in classes:
        photos = np.flatnonzero(labels == label)
        count = min(max(1, round(share * len(photos))), len(photos) - 1)
        kept.append(rng.permutation(photos)[:count])
    validation = np.sort(np.concatenate(kept))
    return Split(np.setdiff1d(np.arange(len(labels)), validation), validation)
