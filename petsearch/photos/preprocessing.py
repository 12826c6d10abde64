"""Resizes, crops or pads a picture to the input size of a model.

Worker, embedder, evaluation and tests all use `to_pixels`. It equals open_clip's evaluation
transform up to normalisation (tests/unit/test_preprocessing.py).
"""

import numpy as np
from PIL import Image

from petsearch.domain import Interpolation, Pixels, PixelSpec

_MAX_ASPECT = 16
_RESAMPLING = {
    "bicubic": Image.Resampling.BICUBIC,
    "bilinear": Image.Resampling.BILINEAR,
}

Size = tuple[int, int]
"""Width and height, as Pillow has them."""
Box = tuple[int, int, int, int]
"""Left, top, right and bottom; right and bottom are exclusive."""


def to_pixels(picture: Image.Image, spec: PixelSpec) -> Pixels:
    """Make pixels `(3, height, width)` uint8 as `spec` asks, from an upright RGB picture."""
    if spec.resize_mode == "squash":
        size = (spec.width, spec.height)
        return _resize(picture, size, (0, 0, *size), spec.interpolation)
    if spec.resize_mode == "longest":
        size = _longest_fits(picture.size, spec)
        return _padded(_resize(picture, size, (0, 0, *size), spec.interpolation), spec)
    picture = _crop_extreme_aspect(picture)
    # Like open_clip.transform.ResizeKeepRatio, which is always bicubic.
    interpolation = spec.interpolation if spec.width == spec.height else "bicubic"
    size = _shortest_fits(picture.size, spec)
    return _resize(picture, size, _centre(size, spec), interpolation)


def _resize(picture: Image.Image, size: Size, box: Box, interpolation: Interpolation) -> Pixels:
    resized = picture.resize(size, _RESAMPLING[interpolation]).crop(box)
    return np.ascontiguousarray(np.asarray(resized, dtype=np.uint8).transpose(2, 0, 1))


def _crop_extreme_aspect(picture: Image.Image) -> Image.Image:
    # A 60000 x 1 picture would become 13 million pixels wide before the crop.
    width, height = picture.size
    longest = _MAX_ASPECT * min(width, height)
    if max(width, height) <= longest:
        return picture
    left, top = max(0, (width - longest) // 2), max(0, (height - longest) // 2)
    return picture.crop((left, top, min(width, left + longest), min(height, top + longest)))


def _shortest_fits(size: Size, spec: PixelSpec) -> Size:
    width, height = size
    if spec.width != spec.height:
        # Like open_clip.transform.ResizeKeepRatio.
        ratio = min(height / spec.height, width / spec.width)
        return round(width / ratio), round(height / ratio)
    # Like torchvision.transforms.Resize(int): the longer side is truncated, not rounded.
    side = spec.width
    if width <= height:
        return side, int(side * height / width)
    return int(side * width / height), side


def _centre(size: Size, spec: PixelSpec) -> Box:
    # Like torchvision.transforms.CenterCrop, which rounds half to even.
    left = round((size[0] - spec.width) / 2.0)
    top = round((size[1] - spec.height) / 2.0)
    return left, top, left + spec.width, top + spec.height


def _longest_fits(size: Size, spec: PixelSpec) -> Size:
    # Like open_clip.transform.ResizeKeepRatio(longest=1).
    width, height = size
    ratio = max(height / spec.height, width / spec.width)
    # The shorter side of a 500 x 1 picture would round to 0.
    return max(1, round(width / ratio)), max(1, round(height / ratio))


def _padded(pixels: Pixels, spec: PixelSpec) -> Pixels:
    canvas = np.full((3, spec.height, spec.width), spec.fill_color, np.uint8)
    height, width = pixels.shape[1:]
    # Like open_clip.transform.center_crop_or_pad.
    left, top = (spec.width - width) // 2, (spec.height - height) // 2
    canvas[:, top : top + height, left : left + width] = pixels
    return canvas
