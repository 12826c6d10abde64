"""Resizing with Pillow and with torch (ADR 33): `python -m bench.decisions.resizing`.

Prints the CPU time per photo of each, measured alternately on the same photos, and the largest
difference between their pixels. Decoding is not included.
"""

import statistics
import sys
import time
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from PIL import Image

from bench.embedder import read_photos
from bench.shared_data import PHOTOS
from petsearch.domain import Pixels, PixelSpec
from petsearch.photos import Resize, decode, resize_with_pillow, to_pixels
from petsearch.process_tuning import tune_process

_SPEC = PixelSpec(224, 224)


def main(
    *,
    photos: Annotated[Path, typer.Option(help="JPEGs.")] = PHOTOS,
    rounds: Annotated[int, typer.Option(min=1)] = 20,
) -> None:
    """Print the CPU time of both and how far their pixels differ."""
    tune_process()
    import torch

    from petsearch.adapters.clip.torch_resize import resize_with_torch

    torch.set_num_threads(1)
    limits = decode.ImageLimits()
    pictures = [decode.decode(data, limits).picture for data in read_photos(photos)]
    of_pillow, of_torch = [], []
    for _ in range(rounds):
        of_pillow.append(_cpu_ms(pictures, resize_with_pillow))
        of_torch.append(_cpu_ms(pictures, resize_with_torch))
    ratio = statistics.median(p / t for p, t in zip(of_pillow, of_torch, strict=True))
    apart = np.concatenate([_apart(picture, resize_with_torch) for picture in pictures])
    sys.stdout.write(
        f"{len(pictures)} photos, ms of processor time each: Pillow "
        f"{statistics.median(of_pillow):.2f}, torch {statistics.median(of_torch):.2f} "
        f"({ratio:.1f} x as fast)\n"
        f"values that differ: {np.mean(apart > 0):.2%}, by {apart.max()} of 255 at most\n"
    )


def _cpu_ms(pictures: list[Image.Image], resize: Resize) -> float:
    started = time.process_time()
    for picture in pictures:
        to_pixels(picture, _SPEC, resize)
    return (time.process_time() - started) / len(pictures) * 1e3


def _apart(picture: Image.Image, resize: Resize) -> Pixels:
    exact = to_pixels(picture, _SPEC).astype(int)
    apart: Pixels = np.abs(to_pixels(picture, _SPEC, resize) - exact).astype(np.uint8)
    return apart.ravel()


if __name__ == "__main__":
    typer.run(main)
