"""Guesses of species and breeds that nobody stated, over HTTP: what filters lose, and calibration.

`python -m bench.guesses --model dir:MODEL --dataset FOLDER`: a copy of the model is calibrated on
half of the train split, which must have trained no model; the test split is ingested without labels
and asked for once. A photo is lost where a filter by its own species leaves it out.
"""

import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from bench.rankings import ServerClient, truth_of
from bench.real_photos import load_photos
from bench.shared_data import DATASET, MODEL, check_is_there
from bench.standalone_server import standalone_server
from petsearch.calibration.resampling import Estimate, Resampling, Statistic, estimate, mean_of
from petsearch.client import Client, Photo, PhotoSource, from_dataset, upload
from petsearch.domain import JsonDict
from petsearch.domain.prompts import species_of
from petsearch.observability import configure_logging
from petsearch.process_tuning import tune_process
from petsearch.sources import DatasetOptions
from training.evaluation.metrics import brier_score, expected_calibration_error

_Values = NDArray[np.float64]


def main(
    *,
    model: Annotated[str, typer.Option(help="dir:<open_clip folder>.")] = MODEL,
    dataset: Annotated[str, typer.Option()] = DATASET,
    cache: Annotated[Path | None, typer.Option(help="Folder to keep embeddings in.")] = None,
) -> None:
    """Measure and print."""
    folder = Path(model.removeprefix("dir:"))
    check_is_there(f"dir:{folder}", dataset)
    tune_process()
    configure_logging(level="ERROR")
    with tempfile.TemporaryDirectory() as temporary:
        served = Path(temporary) / folder.name
        shutil.copytree(folder, served)
        served.chmod(0o755)
        _calibrate(served, dataset, cache)
        with standalone_server(f"dir:{served}") as address:
            _ingest(address, dataset)
            _print(ServerClient(address))


def _calibrate(model: Path, dataset: str, cache: Path | None) -> None:
    # Imported here: OpenMP must be told how to wait before torch is there.
    from petsearch.adapters.clip.model import load_model
    from petsearch.calibration import Gallery, fit
    from petsearch.models.folder import CALIBRATION
    from training.calibration.calibrate import prepare_texts
    from training.drawings.config import SAMPLE_CONFIG, read_config
    from training.runs.model_folder import write_json

    clip = load_model(f"dir:{model}")
    photos = load_photos(clip, dataset=dataset, split="train", cache=cache)
    gallery = Gallery(photos.embeddings, photos.breeds, photos.species)
    texts = prepare_texts(clip, read_config(SAMPLE_CONFIG).data)
    write_json(model / CALIBRATION, asdict(fit(gallery.half(0), texts, clip.info)))


def _ingest(address: str, dataset: str) -> None:
    found = from_dataset(dataset, DatasetOptions("test", "label", None))
    unlabelled = (Photo(photo.filename, photo.data, {}) for photo in found.photos)
    with Client(address) as client:
        job = upload(client, PhotoSource(unlabelled, found.count), name="guesses")
    if job["state"] not in ("succeeded", "partly_failed"):
        raise RuntimeError(f"the photos were not ingested: {job}")


def _print(server: ServerClient) -> None:
    console = Console(width=120)
    images = list(server.images())
    species = np.array([species_of(truth_of(image)) for image in images])
    console.print(f"{server.page('/v1/stats')['model_id']}: {len(images)} photos without labels")
    for name, found in _shares(server, images, species).items():
        console.print(f"{name}: {_said(found, 100)} %")
    table = Table("guess", "n", "right", "Brier", "of a constant", "calibration error")
    of_species = np.array([image["predicted"]["species_confidence"] for image in images])
    guessed = np.array([image["predicted"]["species"] for image in images])
    for one in ("cat", "dog"):
        chosen = species == one
        _add_row(table, one, of_species[chosen], guessed[chosen] == one)
    _add_row(table, "species", of_species, guessed == species)
    breeds = np.array([image["predicted"]["confidence"] for image in images])
    _add_row(table, "breed", breeds, np.array([_is_breed_right(image) for image in images]))
    console.print(table)


def _shares(
    server: ServerClient, images: Sequence[JsonDict], species: NDArray[np.str_]
) -> dict[str, Estimate]:
    """What filters by species leave out, and what they cannot tell."""
    found = {one: _ids(server, species=one) for one in ("cat", "dog")}
    lost = [i["image_id"] not in found[one] for i, one in zip(images, species, strict=True)]
    unsure = [image["species_source"] == "unsure" for image in images]
    breeds = {truth_of(image) for image in images}
    of_breed = {breed: _ids(server, breed=breed) for breed in breeds}
    no_breed = [image["image_id"] not in of_breed[truth_of(image)] for image in images]
    return {
        name: estimate(mean_of(np.array(values)), Resampling())
        for name, values in (
            ("lost by a filter by species", lost),
            ("species unsure", unsure),
            ("lost by a filter by breed", no_breed),
        )
    }


def _ids(server: ServerClient, **filters: str) -> set[str]:
    found: set[str] = set()
    cursor: dict[str, str] = {}
    while True:
        page = server.page("/v1/images", limit=100, **filters, **cursor)
        found |= {image["image_id"] for image in page["items"]}
        if page["next_cursor"] is None:
            return found
        cursor = {"cursor": page["next_cursor"]}


def _is_breed_right(image: JsonDict) -> bool:
    return bool(image["predicted"]["breed"] == truth_of(image))


def _add_row(table: Table, name: str, shares: _Values, right: NDArray[np.bool_]) -> None:
    outcomes = right.astype(np.float64)
    error = Statistic(
        len(right),
        lambda chosen: expected_calibration_error(shares[chosen], outcomes[chosen]),
    )
    constant = np.full_like(outcomes, outcomes.mean())
    table.add_row(
        name,
        str(len(right)),
        f"{right.mean():.4f}",
        f"{brier_score(shares, outcomes):.4f}",
        f"{brier_score(constant, outcomes):.4f}",
        _said(estimate(error, Resampling())),
    )


def _said(found: Estimate, factor: float = 1.0) -> str:
    low, high = factor * found.low, factor * found.high
    return f"{factor * found.value:.3f} [{low:.3f}, {high:.3f}]"


if __name__ == "__main__":
    typer.run(main)
