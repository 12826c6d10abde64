"""Preprocessing: open_clip's own transform, to the bit."""

from pathlib import Path

import numpy as np
import open_clip
import pytest
from PIL import Image

from petsearch.domain import PixelSpec
from petsearch.photos import ImageLimits, decode, to_pixels
from petsearch.photos.colour import to_srgb
from tests import pictures

SPECS = [
    PixelSpec(224, 224),
    PixelSpec(96, 96, "squash", "bilinear"),
    PixelSpec(64, 64, "longest", fill_color=127),
    PixelSpec(64, 96),
]


def open_clip_pixels(picture: Image.Image, spec: PixelSpec) -> np.ndarray:
    """What open_clip's evaluation transform makes, before it is scaled and normalised."""
    transform = open_clip.image_transform(
        (spec.height, spec.width),
        is_train=False,
        mean=(0.0, 0.0, 0.0),
        std=(1.0, 1.0, 1.0),
        resize_mode=spec.resize_mode,
        interpolation=spec.interpolation,
        fill_color=spec.fill_color,
    )
    scaled: np.ndarray = transform(picture).numpy()
    return np.round(scaled * 255.0).astype(np.uint8)


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: f"{spec.resize_mode}-{spec.height}")
@pytest.mark.parametrize("size", [(300, 200), (211, 333), (64, 64), (40, 50), (500, 97)])
def test_pixels_equal_open_clips_transform(spec: PixelSpec, size: tuple[int, int]) -> None:
    picture = pictures.noise(*size, seed=3)
    pixels = to_pixels(picture, spec)
    assert pixels.flags.c_contiguous
    assert np.array_equal(pixels, open_clip_pixels(picture, spec))


def test_pixels_of_real_photos_equal_open_clips_transform(real_photos: list[Path]) -> None:
    spec = PixelSpec(224, 224)
    for photo in real_photos:
        decoded = decode.decode(photo.read_bytes(), ImageLimits())
        with Image.open(photo) as picture:
            wanted = open_clip_pixels(_in_srgb(picture), spec)
        assert np.array_equal(to_pixels(decoded.picture, spec), wanted), photo.name


def _in_srgb(picture: Image.Image) -> Image.Image:
    """open_clip takes colours as they are stored; petsearch converts them by their profile."""
    profile = picture.info.get("icc_profile")
    converted = to_srgb(picture, profile) if profile and picture.mode == "RGB" else None
    return converted or picture


def test_an_extreme_strip_does_not_blow_up() -> None:
    pixels = to_pixels(pictures.noise(60_000, 1), PixelSpec(224, 224))
    assert pixels.shape == (3, 224, 224)


@pytest.mark.parametrize("size", [(5000, 1), (1, 5000)])
def test_a_strip_is_not_padded_away(size: tuple[int, int]) -> None:
    spec = PixelSpec(64, 64, "longest", fill_color=7)
    pixels = to_pixels(Image.new("RGB", size, "white"), spec)
    assert (pixels == 255).sum() == 3 * 64
    assert (pixels == 7).sum() == 3 * 64 * 63
