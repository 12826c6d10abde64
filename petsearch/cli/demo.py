"""The demo: a server that answers at once and fills its catalogue while you look at it."""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from petsearch.app.services import Services
from petsearch.cli.output import connect
from petsearch.client import PhotoSource, Progress, from_dataset, from_drawings, from_paths, upload
from petsearch.domain import Filters, sha256_of
from petsearch.domain.errors import ConfigurationError, PetsearchError
from petsearch.photos import ImageLimits
from petsearch.sample.catalogue import MODEL_DIR
from petsearch.sources import DatasetOptions
from petsearch.standalone import StandaloneOptions, serve

OXFORD_PETS = "oxford-pets"
_OXFORD_DATASET = "timm/oxford-iiit-pet"
_HUB_MODEL = "hub:ViT-B-32/openai"
_NEXT_STEP = "make demo SOURCE=oxford-pets   or   make demo SOURCE=<folder of photos> [MODEL=…]"

Say = Callable[[str], None]


@dataclass(frozen=True)
class DemoOptions:
    """What `petsearch demo` takes."""

    data_dir: Path
    source: str
    """Empty for the drawings, `oxford-pets`, or a folder of photos."""
    model: str
    port: int
    count: int
    """How many drawings."""


def run_demo(options: DemoOptions, *, say: Say) -> None:
    """Serve, and fill the catalogue through the API like any client would.

    Raises:
        ConfigurationError: the source or the model cannot be had.
    """
    source = _source(options)
    data_dir = options.data_dir if options.source else options.data_dir / _sample_version()
    model = options.model or ("sample" if not options.source else _HUB_MODEL)

    def seed(services: Services, address: str) -> None:
        is_sample = services.catalogue.current().model.is_sample
        say(f"petsearch is ready: {address}   (Ctrl-C stops all of it)")
        if is_sample:
            say(f"These are drawings with a small demo model. With photos: {_NEXT_STEP}")
        _fill(address, source, services, say)

    serve(
        StandaloneOptions(data_dir, model, port=options.port),
        on_ready=seed,
    )


def _sample_version() -> str:
    """A new demo model starts a new catalogue: the old one's embeddings mean nothing to it."""
    return sha256_of((MODEL_DIR / "open_clip_model.safetensors").read_bytes())[:12]


def _source(options: DemoOptions) -> PhotoSource:
    if not options.source:
        return from_drawings(options.count)
    if options.source == OXFORD_PETS:
        return from_dataset(_OXFORD_DATASET, DatasetOptions(split="test"))
    folder = Path(options.source).expanduser()
    if not folder.is_dir():
        raise ConfigurationError(
            f"SOURCE is {options.source!r}: give a folder of photos, or {OXFORD_PETS}."
        )
    return from_paths([folder], max_bytes=ImageLimits().max_bytes)


def _fill(address: str, source: PhotoSource, services: Services, say: Say) -> None:
    """Upload what is not there yet. Ends quietly when the server is stopped meanwhile."""
    collection = services.catalogue.current().collection
    if source.count and services.own_index.count(collection, Filters()) >= source.count:
        say(f"The catalogue is there already: {source.count} photos.")
        return
    shown = -1

    def show(progress: Progress) -> None:
        nonlocal shown
        done = progress.job["done"]
        if sys.stderr.isatty() and done != shown:
            shown = done
            sys.stderr.write(f"\rCatalogue: {done}/{source.count or '?'} ")
            sys.stderr.flush()

    try:
        with connect(address) as client:
            job = upload(client, source, name="seed", on_progress=show)
    except PetsearchError as error:
        say(f"The catalogue is not complete ({error.detail}). The next start goes on with it.")
        return
    counts = job["counts"]
    say(
        f"\nThe catalogue is complete: {counts['ingested']} ingested, {counts['duplicate']} were "
        f"here, {counts['refused']} refused, {counts['failed']} failed."
    )
