"""Splits photos into those to train on and those for validation."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from petsearch.domain.errors import InvalidInput


@dataclass(frozen=True)
class Split:
    """Indices of the photos in each part, ascending."""

    train: NDArray[np.int64]
    validation: NDArray[np.int64]


def split_photos(
    labels: NDArray[np.int64], share: float, seed: int, class_names: Sequence[str]
) -> Split:
    """Draw `share` of each class for validation, at least one photo per class.

    Raises:
        InvalidInput: a class has fewer than two photos.
    """
    counts = np.bincount(labels, minlength=len(class_names))
    if counts.min() < 2:
        few = int(counts.argmin())
        raise InvalidInput(
            f"The class {class_names[few]!r} needs at least two photos that can be decoded, one of "
            f"them for validation; it has {counts[few]}."
        )
    rng = np.random.default_rng(seed)
    kept: list[NDArray[np.int64]] = []
    for label in range(len(class_names)):
        photos = np.flatnonzero(labels == label)
        count = min(max(1, round(share * len(photos))), len(photos) - 1)
        kept.append(rng.permutation(photos)[:count])
    validation = np.sort(np.concatenate(kept))
    return Split(np.setdiff1d(np.arange(len(labels)), validation), validation)
