"""Reference loops over a folder of photos for ingest throughput, each in its own process.

`--as codec` only does what ingest must do with the bytes of a photo, in as many threads as ingest
decodes with. `--as ancestor` embeds as this project's ancestor did: one photo at a time, PyTorch
with defaults. Prints photos per second.
"""

import hashlib
import os
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from petsearch.photos.copies import DISPLAY_SIDE, THUMBNAIL_SIDE, shrunk
from petsearch.process_tuning import lower_thread_priority


class Way(StrEnum):
    """The kind of loop."""

    CODEC = "codec"
    ANCESTOR = "ancestor"


WARM_UP = 64
"""Photos that go ahead, also of ingest: they start the processes that decode."""


def main(
    *,
    photos: Annotated[Path, typer.Option(help="A folder of photos.")],
    limit: Annotated[int | None, typer.Option(min=2 * WARM_UP)] = None,
    way: Annotated[Way, typer.Option("--as")],
    model: Annotated[str, typer.Option()] = "",
) -> None:
    """Run the loop and print its rate."""
    paths = sorted(photos.iterdir())[:limit]
    with tempfile.TemporaryDirectory() as folder:
        if way is Way.CODEC:
            rate = _codec(paths, Path(folder))
        else:
            rate = _ancestor(paths, Path(folder), model)
    sys.stdout.write(f"{rate}\n")


def _codec(paths: list[Path], folder: Path) -> float:
    from petsearch.domain import PixelSpec
    from petsearch.photos import ImageLimits, decode, preprocessing

    spec, limits = PixelSpec(224, 224), ImageLimits()

    def work(path: Path) -> None:
        data = path.read_bytes()
        name = hashlib.sha256(data).hexdigest()
        picture = decode.decode(data, limits).picture
        preprocessing.to_pixels(picture, spec)
        (folder / f"{name}.original").write_bytes(data)
        for copy, side, quality in (("display", DISPLAY_SIDE, 88), ("thumb", THUMBNAIL_SIDE, 80)):
            # Into a file: Pillow holds the interpreter's lock while it encodes into memory.
            shrunk(picture, side).save(folder / f"{name}.{copy}", "JPEG", quality=quality)

    # At ingest's priority: on a machine that does other things, too, both must give way alike.
    with ThreadPoolExecutor(os.cpu_count() or 1, initializer=lower_thread_priority) as threads:
        list(threads.map(work, paths[:WARM_UP]))
        started = time.perf_counter()
        list(threads.map(work, paths[WARM_UP:]))
        return (len(paths) - WARM_UP) / (time.perf_counter() - started)


def _ancestor(paths: list[Path], folder: Path, model: str) -> float:
    import open_clip
    import torch
    from PIL import Image

    from petsearch.adapters.clip import resolve_model

    source = resolve_model(model)
    clip, _, preprocess = open_clip.create_model_and_transforms(
        source.architecture, pretrained=source.pretrained
    )
    clip.eval()

    def embed(some: list[Path]) -> None:
        embeddings = []
        with torch.no_grad():
            for path in some:
                pixels = preprocess(Image.open(path).convert("RGB")).unsqueeze(0)
                embeddings.append(clip.encode_image(pixels, normalize=True))
        torch.save(torch.cat(embeddings), folder / "embeddings.pt")

    embed(paths[:WARM_UP])
    started = time.perf_counter()
    embed(paths[WARM_UP:])
    return (len(paths) - WARM_UP) / (time.perf_counter() - started)


if __name__ == "__main__":
    typer.run(main)
