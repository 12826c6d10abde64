"""Input of the trained stages: views of photos, run through the frozen stages."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from petsearch.domain import Pixels
from petsearch.process_tuning import usable_cores
from training.clip.base_model import BaseModel
from training.finetuning.augmentation import ViewSampler
from training.finetuning.decoded_photos import DecodedPhotos
from training.finetuning.policies import Policy
from training.finetuning.prefix_cache import PrefixCache, fill_prefix_cache
from training.runs.precision import Precision

_BATCH_SIZE = 32


class ViewFeatures(Protocol):
    """Source of the features of views; implemented by `ComputedViews` and `PrefixCache`."""

    def rows(self, photos: NDArray[np.int64], view: int) -> Tensor:
        """float32 `(n, *shape)`: the output of the frozen stages for one view of some photos."""


class FrozenStages:
    """Runs pixels through the frozen stages of the image tower, on the device."""

    def __init__(self, base: BaseModel, policy: Policy, precision: Precision) -> None:
        self._policy = policy
        self._precision = precision
        mean, std = torch.tensor(base.mean), torch.tensor(base.std)
        self._scale = (1 / (255 * std)).view(1, 3, 1, 1).to(precision.device)
        self._shift = (-mean / std).view(1, 3, 1, 1).to(precision.device)

    @torch.no_grad()
    def run(self, pixels: Tensor) -> Tensor:
        """Map uint8 `(n, 3, height, width)` to float32 `(n, *shape)`."""
        images = pixels.to(self._precision.device).float()
        images = torch.addcmul(self._shift, images, self._scale)
        images = images.contiguous(memory_format=torch.channels_last)
        with self._precision.autocast():
            return self._policy.run_prefix(images).float()


class ComputedViews:
    """Views that are drawn from photos and run through the frozen stages on every call."""

    def __init__(
        self,
        photos: DecodedPhotos,
        numbers: NDArray[np.int64],
        views: ViewSampler,
        frozen: FrozenStages,
    ) -> None:
        """`numbers` `(n,)` are the indices of the photos to train on."""
        self._photos = photos
        self._numbers = numbers
        self._views = views
        self._frozen = frozen
        # torchvision releases the GIL.
        self._threads = ThreadPoolExecutor(usable_cores(), thread_name_prefix="views")

    def __len__(self) -> int:
        return len(self._numbers)

    def rows(self, photos: NDArray[np.int64], view: int) -> Tensor:
        """See `ViewFeatures`."""
        numbers = self._numbers[photos].tolist()
        drawn = self._threads.map(
            lambda number: self._views.view(self._photos.picture(number), number, view), numbers
        )
        return self._frozen.run(torch.stack(list(drawn)))


def cached(
    computed: ComputedViews,
    *,
    folder: Path,
    views: int,
    cache: str,
    on_photos: Callable[[int], None],
) -> PrefixCache:
    """The same views, computed once and stored in `folder`.

    Args:
        computed: the source of the features.
        folder: of the run.
        views: how many of each photo.
        cache: `fp16` or `fp32`.
        on_photos: called after each batch with its number of photos.
    """

    def batches(view: int) -> Iterator[tuple[NDArray[np.int64], Tensor]]:
        for photos in np.split(
            np.arange(len(computed)), range(_BATCH_SIZE, len(computed), _BATCH_SIZE)
        ):
            yield photos, computed.rows(photos, view)
            on_photos(len(photos))

    return fill_prefix_cache(
        folder,
        photos=len(computed),
        views=views,
        dtype={"fp16": "float16", "fp32": "float32"}[cache],
        batches=batches,
    )


def plain_features(pixels: Iterator[Pixels], frozen: FrozenStages) -> Tensor:
    """Features `(n, *shape)` of photos as they are searched, without augmentation; on the CPU."""
    rows: list[Tensor] = []
    while batch := list(islice(pixels, _BATCH_SIZE)):
        rows.append(frozen.run(torch.from_numpy(np.stack(batch))).cpu())
    return torch.cat(rows)
