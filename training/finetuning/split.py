"""Keeps photos of each class for validation."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from petsearch.domain.errors import InvalidInput


@dataclass(frozen=True)
class Split:
    """Numbers of the photos of either side, in order."""

    train: NDArray[np.int64]
    validation: NDArray[np.int64]


def split_photos(labels: NDArray[np.int64], share: float, seed: int) -> Split:
    """Draw `share` of each class for validation, at least one photo of it.

    Raises:
        InvalidInput: a class has one photo only, or there is one class only.
    """
    classes, counts = np.unique(labels, return_counts=True)
    if len(classes) < 2:
        raise InvalidInput("Photos of at least two classes are needed to train on.")
    if counts.min() < 2:
        lonely = int(classes[counts.argmin()])
        raise InvalidInput(
            f"Class number {lonely} has one photo that can be read: give it two or more, one of "
            "which is kept for validation."
        )
    rng = np.random.default_rng(seed)
    kept: list[NDArray[np.int64]] = []
    for label in classes:
        photos = np.flatnonzero(labels == label)
        count = min(max(1, round(share * len(photos))), len(photos) - 1)
        kept.append(rng.permutation(photos)[:count])
    validation = np.sort(np.concatenate(kept))
    return Split(np.setdiff1d(np.arange(len(labels)), validation), validation)
