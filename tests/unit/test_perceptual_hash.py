"""The perceptual hash: the same photo in other bytes stays near, another photo is far."""

import io
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from petsearch.domain.identity import hash_bands, hash_distance
from petsearch.photos.perceptual_hash import grey_pixels, hashes_of
from petsearch.sample.catalogue import catalogue
from tests import pictures

NEAR = 3


def perceptual_hash(picture: Image.Image) -> str | None:
    """The hash of one picture."""
    return hashes_of([grey_pixels(picture)])[0]


def _hash(picture: Image.Image) -> str:
    found = perceptual_hash(picture)
    assert found is not None
    return found


def _compressed(picture: Image.Image, quality: int) -> Image.Image:
    return Image.open(io.BytesIO(pictures.encoded(picture, quality=quality)))


def _altered(picture: Image.Image) -> list[Image.Image]:
    width, height = picture.size
    small = picture.resize((160, 160 * height // width), Image.Resampling.BILINEAR)
    return [
        _compressed(picture, 40),
        picture.resize((width // 2, height // 2), Image.Resampling.BICUBIC),
        _compressed(small, 60),
    ]


def test_it_is_64_bits_in_hex() -> None:
    digits = _hash(pictures.noise(300, 200))
    assert len(digits) == 16
    assert 0 < int(digits, 16).bit_count() < 64


@pytest.mark.parametrize("colour", ["black", "white", "blue", "green"])
def test_a_picture_without_structure_has_no_hash(colour: str) -> None:
    """All of them would have the same one, and count as the same photo."""
    plain = Image.new("RGB", (400, 300), colour)
    assert perceptual_hash(plain) is None
    assert perceptual_hash(_compressed(plain, 40)) is None
    noisy = np.asarray(plain, np.int16) + np.random.default_rng(0).integers(-3, 4, (300, 400, 3))
    assert perceptual_hash(Image.fromarray(noisy.clip(0, 255).astype(np.uint8))) is None


def test_altered_copies_of_drawings_stay_near() -> None:
    for drawing in catalogue(8, seed=3):
        picture = Image.open(io.BytesIO(drawing.to_jpeg()))
        wanted = _hash(picture)
        distances = [hash_distance(wanted, _hash(copy)) for copy in _altered(picture)]
        assert max(distances) <= NEAR, drawing.filename


def test_altered_copies_of_photos_stay_near_and_other_photos_far(real_photos: list[Path]) -> None:
    hashes = []
    for path in real_photos:
        with Image.open(path) as opened:
            picture = opened.convert("RGB")
        hashes.append(_hash(picture))
        distances = [hash_distance(hashes[-1], _hash(c)) for c in _altered(picture)]
        assert max(distances) <= NEAR, path.name
    assert min(hash_distance(one, other) for one, other in combinations(hashes, 2)) > 4 * NEAR


def test_hashes_within_three_bits_share_a_band() -> None:
    one = "ab12cd34ef567890"
    assert hash_bands(one) == ("0:ab12", "1:cd34", "2:ef56", "3:7890")
    for flipped in combinations(range(64), NEAR):
        other = f"{int(one, 16) ^ sum(1 << bit for bit in flipped):016x}"
        assert hash_distance(one, other) == NEAR
        assert set(hash_bands(one)) & set(hash_bands(other))
