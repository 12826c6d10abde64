"""The output of the frozen stages for every stored view of every photo, in a mapped file.

While the lower stages are frozen, their output for a view never changes. Once it is computed, an
epoch only costs the trained stages.
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

from petsearch.atomic_file import disk_errors
from petsearch.domain.errors import StorageFull


@dataclass(frozen=True)
class PrefixCache:
    """Features `(photos, views, *shape)` in a file that is mapped into memory."""

    _features: NDArray[np.floating]

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
    """Compute the features, or map the file of an earlier run with the same configuration.

    Args:
        folder: of the file.
        photos, views: how many.
        dtype: of the stored features.
        batches: yields photo numbers `(n,)` and features `(n, *shape)` of a view, until all
            photos have been named.

    Raises:
        StorageFull: no space left.
    """
    path = folder / "prefix.npy"
    if not path.exists():
        unfinished = folder / "prefix.npy.part"
        features: np.memmap[Any, Any] | None = None
        for view in range(views):
            for numbers, rows in batches(view):
                if features is None:
                    features = _reserve(unfinished, dtype, (photos, views, *rows.shape[1:]))
                features[numbers, view] = rows.detach().cpu().numpy()
        with disk_errors(), unfinished.open("rb") as file:
            os.fsync(file.fileno())  # what was written through the mapping, too
        unfinished.rename(path)
    return PrefixCache(np.load(path, mmap_mode="r"))


def _reserve(path: Path, dtype: str, shape: tuple[int, ...]) -> "np.memmap[Any, Any]":
    """Allocate the whole file: a disk that fills up under a mapping would kill the process."""
    size = int(np.prod(shape)) * np.dtype(dtype).itemsize
    try:
        with disk_errors():
            features = np.lib.format.open_memmap(path, "w+", dtype, shape)
            if hasattr(os, "posix_fallocate"):
                with path.open("r+b") as file:
                    os.posix_fallocate(file.fileno(), 0, path.stat().st_size)
    except StorageFull as error:
        path.unlink(missing_ok=True)
        raise StorageFull(
            f"No space left for the cache of the frozen stages ({size / 1e9:.1f} GB in "
            f"{path.parent}). Free some, lower views, or set cache to none."
        ) from error
    return features
