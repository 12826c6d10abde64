"""What the trained part of the image tower is fed: views of photos through the frozen part."""

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from petsearch.domain import Pixels
from training.clip.base_model import BaseModel
from training.finetuning.augmentation import Views
from training.finetuning.decoded_photos import DecodedPhotos
from training.finetuning.policies import Policy
from training.finetuning.prefix_cache import PrefixCache, fill_prefix_cache
from training.runs.precision import Precision

_BATCH_SIZE = 32
_DTYPES = {"fp16": "float16", "fp32": "float32"}


class ViewFeatures(Protocol):
    """Gives features of views."""

    def __len__(self) -> int:
        """How many photos there are to train on."""

    def rows(self, places: NDArray[np.int64], view: int) -> Tensor:
        """float32 `(n, *shape)`: one view of some photos after the frozen stages."""


class FrozenPart:
    """Pixels to features of the frozen stages, on the device."""

    def __init__(self, base: BaseModel, policy: Policy, precision: Precision) -> None:
        self._policy = policy
        self._precision = precision
        mean, std = torch.tensor(base.mean), torch.tensor(base.std)
        self._scale = (1 / (255 * std)).view(1, 3, 1, 1).to(precision.device)
        self._shift = (-mean / std).view(1, 3, 1, 1).to(precision.device)

    @torch.no_grad()
    def run(self, pixels: Tensor) -> Tensor:
        """uint8 `(n, 3, height, width)` to float32 `(n, *shape)`."""
        images = pixels.to(self._precision.device).float()
        images = torch.addcmul(self._shift, images, self._scale)
        images = images.contiguous(memory_format=torch.channels_last)
        with self._precision.autocast():
            return self._policy.run_prefix(images).float()


class DrawnViews:
    """Views drawn and run through the frozen stages whenever they are asked for."""

    def __init__(
        self,
        photos: DecodedPhotos,
        numbers: NDArray[np.int64],
        views: Views,
        frozen: FrozenPart,
    ) -> None:
        """`numbers` `(n,)` are those of `photos` that are trained on."""
        self._photos = photos
        self._numbers = numbers
        self._views = views
        self._frozen = frozen
        # torchvision works without the interpreter's lock.
        self._threads = ThreadPoolExecutor(os.cpu_count(), thread_name_prefix="views")

    def __len__(self) -> int:
        return len(self._numbers)

    def rows(self, places: NDArray[np.int64], view: int) -> Tensor:
        """See `ViewFeatures`."""
        numbers = [int(number) for number in self._numbers[places]]
        drawn = self._threads.map(
            lambda number: self._views.view(self._photos.picture(number), number, view), numbers
        )
        return self._frozen.run(torch.stack(list(drawn)))


class CachedViews:
    """Views whose features were computed before."""

    def __init__(self, cache: PrefixCache, device: torch.device) -> None:
        self._cache = cache
        self._device = device

    def __len__(self) -> int:
        return self._cache.photos

    def rows(self, places: NDArray[np.int64], view: int) -> Tensor:
        """See `ViewFeatures`."""
        return self._cache.rows(places, view).to(self._device)


def cached(
    drawn: DrawnViews,
    *,
    folder: Path,
    views: int,
    cache: str,
    device: torch.device,
    on_photos: Callable[[int], None],
) -> CachedViews:
    """The same views, computed once and kept in `folder`.

    Args:
        drawn: where they come from.
        folder: of the run.
        views: how many of each photo.
        cache: `fp16` or `fp32`.
        device: where they are needed.
        on_photos: told after each batch how many were done.
    """

    def batches(view: int) -> Iterator[tuple[NDArray[np.int64], Tensor]]:
        for start in range(0, len(drawn), _BATCH_SIZE):
            places = np.arange(start, min(start + _BATCH_SIZE, len(drawn)))
            yield places, drawn.rows(places, view)
            on_photos(len(places))

    filled = fill_prefix_cache(
        folder, photos=len(drawn), views=views, dtype=_DTYPES[cache], batches=batches
    )
    return CachedViews(filled, device)


def plain_features(pixels: Iterator[Pixels], frozen: FrozenPart) -> Tensor:
    """Features `(n, *shape)` of photos as they are searched, not augmented; on the CPU."""
    rows: list[Tensor] = []
    waiting: list[Tensor] = []
    for picture in pixels:
        waiting.append(torch.from_numpy(picture))
        if len(waiting) == _BATCH_SIZE:
            rows.append(frozen.run(torch.stack(waiting)).cpu())
            waiting = []
    if waiting:
        rows.append(frozen.run(torch.stack(waiting)).cpu())
    return torch.cat(rows)
