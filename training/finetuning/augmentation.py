"""Random views of a photo: cropped, mirrored, with jittered colours; reproducible by number."""

import random
from dataclasses import dataclass
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor
from torchvision.transforms.v2 import InterpolationMode
from torchvision.transforms.v2 import functional as transforms

from petsearch.domain import PixelSpec
from training.finetuning.config import AugmentationConfig

_ASPECTS = (3 / 4, 4 / 3)
_TRIES = 10


@dataclass(frozen=True)
class ViewSampler:
    """Draws views for one model: the same number gives the same view in every process."""

    config: AugmentationConfig
    spec: PixelSpec
    seed: int

    def view(self, picture: NDArray[Any], photo: int, number: int) -> Tensor:
        """uint8 `(3, height, width)`.

        Args:
            picture: uint8 `(h, w, 3)`.
            photo: number of the photo in its split.
            number: number of the view.
        """
        rng = random.Random(f"{self.seed}/{photo}/{number}")
        image = torch.from_numpy(picture).permute(2, 0, 1)
        top, left, height, width = _crop(image.shape[1], image.shape[2], self.config.min_area, rng)
        side = self.config.view_size
        size = [side, side] if side else [self.spec.height, self.spec.width]
        mode = InterpolationMode(self.spec.interpolation)
        image = transforms.resized_crop(image, top, left, height, width, size, mode)
        if self.config.mirror and rng.random() < 0.5:
            image = transforms.horizontal_flip(image)
        return self._jittered(image, rng)

    def _jittered(self, image: Tensor, rng: random.Random) -> Tensor:
        change = self.config.brightness
        if change:
            image = transforms.adjust_brightness(image, rng.uniform(1 - change, 1 + change))
            image = transforms.adjust_contrast(image, rng.uniform(1 - change, 1 + change))
        change = self.config.saturation
        if change:
            image = transforms.adjust_saturation(image, rng.uniform(1 - change, 1 + change))
        return image


def _crop(
    height: int, width: int, min_area: float, rng: random.Random
) -> tuple[int, int, int, int]:
    """Top, left, height and width, drawn like those of torchvision's RandomResizedCrop."""
    for _ in range(_TRIES):
        area = height * width * rng.uniform(min_area, 1)
        aspect = rng.uniform(*_ASPECTS)
        w, h = round((area * aspect) ** 0.5), round((area / aspect) ** 0.5)
        if 0 < w <= width and 0 < h <= height:
            return rng.randint(0, height - h), rng.randint(0, width - w), h, w
    side = min(height, width)
    return (height - side) // 2, (width - side) // 2, side, side
