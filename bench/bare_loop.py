"""A loop that only decodes and embeds, in its own process: the reference for ingest throughput.

`--as open_clip` is the loop as usually written: open_clip's model and transform, PyTorch with
defaults. `--as petsearch` is the same with our decoding, encoder and process tuning.
"""

import sys
import time
from collections.abc import Callable
from enum import StrEnum
from typing import Annotated

import numpy as np
import typer

from petsearch.observability import configure_logging
from petsearch.process_tuning import tune_process

Encode = Callable[[list[bytes]], object]
BATCH_SIZES = (16, 32)


class Way(StrEnum):
    """Whose code decodes and encodes."""

    OPEN_CLIP = "open_clip"
    PETSEARCH = "petsearch"


def main(
    *,
    model: Annotated[str, typer.Option()],
    dataset: Annotated[str, typer.Option()],
    split: Annotated[str, typer.Option()] = "test",
    limit: Annotated[int | None, typer.Option(min=1)] = None,
    way: Annotated[Way, typer.Option("--as")] = Way.OPEN_CLIP,
) -> None:
    """Print photos per second with the better of two batch sizes."""
    if way is Way.PETSEARCH:
        tune_process()
    configure_logging(level="ERROR")
    from petsearch.client import from_dataset
    from petsearch.sources import DatasetOptions

    options = DatasetOptions(split, label_column=None, limit=limit)
    photos = [photo.data for photo in from_dataset(dataset, options).photos]
    encode = _petsearch(model) if way is Way.PETSEARCH else _open_clip(model)
    encode(photos[: BATCH_SIZES[0]])
    sys.stdout.write(f"{max(_rate(encode, photos, size) for size in BATCH_SIZES)}\n")


def _rate(encode: Encode, photos: list[bytes], batch_size: int) -> float:
    started = time.perf_counter()
    for start in range(0, len(photos), batch_size):
        encode(photos[start : start + batch_size])
    return len(photos) / (time.perf_counter() - started)


def _open_clip(model: str) -> Encode:
    import io

    import open_clip
    import torch
    from PIL import Image

    from petsearch.adapters.clip import resolve_model

    source = resolve_model(model)
    clip, _, preprocess = open_clip.create_model_and_transforms(
        source.architecture, pretrained=source.pretrained
    )
    clip.eval()

    @torch.inference_mode()
    def encode(batch: list[bytes]) -> object:
        pictures = [Image.open(io.BytesIO(data)).convert("RGB") for data in batch]
        return clip.encode_image(torch.stack([preprocess(p) for p in pictures]), normalize=True)

    return encode


def _petsearch(model: str) -> Encode:
    from petsearch.adapters.clip.model import load_model
    from petsearch.photos import ImageLimits, decode, preprocessing

    clip, limits = load_model(model), ImageLimits()

    def encode(batch: list[bytes]) -> object:
        pictures = [decode.decode(data, limits).picture for data in batch]
        pixels = [preprocessing.to_pixels(p, clip.info.pixel_spec) for p in pictures]
        return clip.encode_pixels(np.stack(pixels))

    return encode


if __name__ == "__main__":
    typer.run(main)
