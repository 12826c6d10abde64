"""What the frozen stages give for every stored view of every photo, kept in a mapped file.

With the lower stages frozen their output for a view never changes. Computed once, an epoch costs
only the trained stages.
"""

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from petsearch.atomic_file import disk_errors, write_atomically
from petsearch.domain.errors import StorageFull

_FEATURES = "prefix.bin"
_DONE = "prefix.done"


@dataclass(frozen=True)
class PrefixCache:
    """Features `(photos, views, *shape)`."""

    _features: NDArray[np.floating]

    @property
    def photos(self) -> int:
        """How many there are."""
        return int(self._features.shape[0])

    def rows(self, photos: NDArray[np.int64], view: int) -> Tensor:
        """float32 `(n, *shape)` of one view of some photos."""
        return torch.from_numpy(self._features[photos, view].astype(np.float32))


def fill_prefix_cache(
    folder: Path,
    *,
    photos: int,
    views: int,
    dtype: str,
    batches: Callable[[int], Iterable[tuple[NDArray[np.int64], Tensor]]],
) -> PrefixCache:
    """Compute the features, or map what an earlier run of the same configuration left.

    Args:
        folder: where the files lie.
        photos, views: how many.
        dtype: numpy's name of what features are stored as.
        batches: for a view, photo numbers `(n,)` and features `(n, *shape)`, until all are named.

    Raises:
        StorageFull: no space left.
    """
    done = folder / _DONE
    if not done.exists():
        shape = _fill(folder / _FEATURES, photos, views, dtype, batches)
        write_atomically(done, " ".join(map(str, shape)).encode())
    shape = tuple(int(side) for side in done.read_text().split())
    return PrefixCache(np.memmap(folder / _FEATURES, dtype, mode="r", shape=shape))


def _fill(
    path: Path,
    photos: int,
    views: int,
    dtype: str,
    batches: Callable[[int], Iterable[tuple[NDArray[np.int64], Tensor]]],
) -> tuple[int, ...]:
    features: np.memmap[Any, Any] | None = None
    for view in range(views):
        for numbers, rows in batches(view):
            if features is None:
                shape = (photos, views, *rows.shape[1:])
                _reserve(path, int(np.prod(shape)) * np.dtype(dtype).itemsize)
                features = np.memmap(path, dtype, mode="r+", shape=shape)
            features[numbers, view] = rows.detach().cpu().numpy()
    assert features is not None
    features.flush()
    return tuple(int(side) for side in features.shape)


def _reserve(path: Path, size: int) -> None:
    """Blocks for the whole file: a full disk under a mapping would end the process."""
    try:
        with disk_errors(), path.open("wb") as file:
            _allocate(file.fileno(), size)
    except StorageFull as error:
        path.unlink(missing_ok=True)
        raise StorageFull(
            f"No space left for the cache of the frozen stages ({size / 1e9:.1f} GB in "
            f"{path.parent}). Free some, lower views, or set cache to none."
        ) from error


def _allocate(descriptor: int, size: int) -> None:

    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(descriptor, 0, size)
    else:
        os.truncate(descriptor, size)
