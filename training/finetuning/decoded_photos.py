"""Photos decoded once: their pixels are stored in one file that is mapped into memory."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from petsearch.atomic_file import disk_errors, replacing
from petsearch.domain.errors import InvalidInput
from training.evaluation.photos import BrokenPhoto, LabelledPhotos

_PIXELS = "photos.bin"
_INDEX = "photos.npz"


@dataclass(frozen=True)
class DecodedPhotos:
    """Pixels of the photos that can be decoded."""

    photos: LabelledPhotos
    """Those that can be decoded."""
    broken: tuple[BrokenPhoto, ...]
    _pixels: NDArray[np.uint8]
    _starts: NDArray[np.int64]
    _sizes: NDArray[np.int64]

    def picture(self, index: int) -> NDArray[np.uint8]:
        """uint8 `(height, width, 3)`."""
        height, width = (int(side) for side in self._sizes[index])
        start = int(self._starts[index])
        # A copy, because torch needs writable memory.
        flat = np.array(self._pixels[start : start + height * width * 3])
        return flat.reshape(height, width, 3)


def decode_photos(
    photos: LabelledPhotos, side: int, folder: Path, on_photo: Callable[[], None]
) -> DecodedPhotos:
    """Decode all photos, or map the pixels that an earlier call stored in `folder`.

    Args:
        photos: the photos.
        side: maximum length of the short side in pixels; larger photos are reduced.
        folder: of the stored pixels; created if it does not exist.
        on_photo: called after each photo.

    Raises:
        InvalidInput: no photo can be decoded.
        StorageFull: no space left.
    """
    if not (folder / _INDEX).exists():
        _decode(photos, side, folder, on_photo)
    with np.load(folder / _INDEX) as kept:
        good, sizes, reasons = kept["good"], kept["sizes"], kept["reasons"]
    lengths = sizes.prod(axis=1) * 3
    broken = tuple(
        BrokenPhoto(photos.name(int(index)), str(reason))
        for index, reason in zip(np.setdiff1d(np.arange(len(photos)), good), reasons, strict=True)
    )
    if not len(good):
        raise InvalidInput(f"No photo of {photos.source.data} can be decoded. {broken[0].reason}")
    pixels = np.memmap(folder / _PIXELS, np.uint8, mode="r")
    return DecodedPhotos(photos.subset(good), broken, pixels, lengths.cumsum() - lengths, sizes)


def _decode(photos: LabelledPhotos, side: int, folder: Path, on_photo: Callable[[], None]) -> None:
    good: list[int] = []
    sizes: list[tuple[int, int]] = []
    reasons: list[str] = []
    with disk_errors():
        folder.mkdir(parents=True, exist_ok=True)
    with replacing(folder / _PIXELS, is_lasting=True) as file:
        for index in range(len(photos)):
            try:
                picture = _reduced(photos.picture(index), side)
            except InvalidInput as error:
                reasons.append(error.detail)
            else:
                good.append(index)
                sizes.append((picture.height, picture.width))
                file.write(picture.tobytes())
            on_photo()
    with replacing(folder / _INDEX, is_lasting=True) as file:
        np.savez(
            file,
            good=np.array(good, np.int64),
            sizes=np.array(sizes, np.int64).reshape(-1, 2),
            reasons=np.array(reasons, np.str_),
        )


def _reduced(picture: Image.Image, side: int) -> Image.Image:
    scale = side / min(picture.size)
    if scale >= 1:
        return picture
    width, height = (max(side, round(length * scale)) for length in picture.size)
    return picture.resize((width, height), Image.Resampling.BICUBIC)
