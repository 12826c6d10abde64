"""The command `petsearch demo`: a server whose catalogue fills while you look at it."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from petsearch.app.services import Services
from petsearch.cli.connection import connect
from petsearch.cli.jobs import counts_of
from petsearch.cli.output import data_folder, print_message
from petsearch.client import PhotoSource, Progress, from_dataset, from_drawings, from_paths, upload
from petsearch.domain import sha256_of
from petsearch.domain.errors import ConfigurationError, PetsearchError
from petsearch.models.folder import WEIGHTS
from petsearch.sample.catalogue import MODEL_DIR
from petsearch.settings import Limits, Settings
from petsearch.sources import DatasetOptions
from petsearch.standalone import StandaloneOptions, serve

_OXFORD_PETS = "oxford-pets"
_OXFORD_DATASET = "timm/oxford-iiit-pet"
_HUB_MODEL = "hub:ViT-B-32/laion2b_s34b_b79k"
_NEXT_STEP = "make demo SOURCE=oxford-pets   or   make demo SOURCE=<folder of photos> [MODEL=…]"


def demo(
    *,
    data_dir: Annotated[
        Path, typer.Option(parser=data_folder, metavar="PATH", help="Folder that holds all data.")
    ],
    source: Annotated[
        str, typer.Option(help="Empty for the drawings, oxford-pets, or a folder of photos.")
    ] = "",
    model: Annotated[str, typer.Option(help="As in serve; by default one for the source.")] = "",
    port: Annotated[int, typer.Option(min=0, max=65535)] = 8000,
    count: Annotated[int, typer.Option(min=1, help="Number of drawings.")] = 480,
) -> None:
    """Serve a demo: the bundled drawings, Oxford pets or a folder of your photos.

    The catalogue is filled through the API, as any client would do it.
    """
    photos = _photos(source, count)

    def fill(services: Services, address: str) -> None:
        print_message(f"petsearch is ready: {address}   (Ctrl-C stops it)")
        if services.search.target().model.is_sample:
            print_message(f"These are drawings with a small demo model. With photos: {_NEXT_STEP}")
        _fill(address, photos, services)

    # Embeddings of another version of the demo model could not be compared with these.
    version = sha256_of((MODEL_DIR / WEIGHTS).read_bytes())[:12]
    folder = data_dir if source else data_dir / version
    model = model or Settings.from_environment().model or (_HUB_MODEL if source else "sample")
    serve(StandaloneOptions(folder, model, port=port), on_ready=fill)


def _photos(source: str, count: int) -> PhotoSource:
    if not source:
        return from_drawings(count)
    if source == _OXFORD_PETS:
        return from_dataset(_OXFORD_DATASET, DatasetOptions(split="test"))
    folder = Path(source).expanduser()
    if not folder.is_dir():
        raise ConfigurationError(
            f"SOURCE is {source!r}: give a folder of photos, or {_OXFORD_PETS}."
        )
    return from_paths([folder], max_bytes=Limits().image_bytes)


def _fill(address: str, photos: PhotoSource, services: Services) -> None:
    """Upload what is missing; returns early if the server is stopped meanwhile."""
    if photos.count and services.images.count() >= photos.count:
        print_message(f"The catalogue is complete already: {photos.count} photos.")
        return
    try:
        with connect(address) as client:
            job = upload(
                client, photos, name="seed", on_progress=lambda done: _show(done, photos.count)
            )
    except PetsearchError as error:
        print_message(f"The catalogue is incomplete ({error.detail}). The next start continues it.")
        return
    print_message(f"\nThe catalogue is complete: {counts_of(job)}.")


def _show(progress: Progress, count: int | None) -> None:
    # Not a Rich progress bar: stopped with the server, it would leave the cursor hidden.
    if sys.stderr.isatty():
        sys.stderr.write(f"\rCatalogue: {progress.job['done']}/{count or '?'} ")
        sys.stderr.flush()
