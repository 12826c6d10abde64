"""Search quality on real photos: all measurements over HTTP.

`make bench-quality` copies the model, calibrates the copy on one half of the test split, serves it,
and measures confidences on the other half alone; then the whole split is ingested, and rankings,
composed queries and off-topic texts are measured. No labels are ingested.
"""

import json
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from bench import off_topic
from bench.composed_queries import ComposedQueries, ComposedRow
from bench.quality import Quality, measure, to_text
from bench.rankings import ServerClient
from bench.real_photos import load_photos
from bench.served_calibration import (
    OffTopicResponses,
    Reliability,
    measure_confidences,
    measure_off_topic,
)
from bench.shared_data import DATASET, MODEL, check_is_there
from bench.standalone_server import standalone_server
from petsearch.client import Client, Photo, PhotoSource, from_dataset, upload
from petsearch.observability import configure_logging
from petsearch.process_tuning import tune_process
from petsearch.sources import DatasetOptions

if TYPE_CHECKING:
    from training.drawings.config import DataConfig

_MOST_CALIBRATION_ERROR = 0.05


@dataclass(frozen=True)
class Report:
    """Everything measured over HTTP."""

    model: str
    calibration: list[Reliability]
    quality: Quality
    composed: list[ComposedRow]
    off_topic: OffTopicResponses


def main(
    *,
    model: Annotated[str, typer.Option(help="dir:<open_clip folder>.")] = MODEL,
    dataset: Annotated[str, typer.Option()] = DATASET,
    limit: Annotated[int | None, typer.Option(help="Photos of the test split.")] = None,
    cache: Annotated[Path | None, typer.Option(help="Folder to keep embeddings in.")] = None,
    as_json: Annotated[bool, typer.Option("--json")] = False,
) -> None:
    """Measure and print; exits with code 1 below a bar."""
    folder = Path(model.removeprefix("dir:"))
    check_is_there(f"dir:{folder}", dataset)
    tune_process()
    configure_logging(level="ERROR")
    with tempfile.TemporaryDirectory() as temporary:
        cache = cache or Path(temporary) / "embeddings"
        served = Path(temporary) / folder.name
        shutil.copytree(folder, served)
        served.chmod(0o755)
        data = _calibrate(served, dataset, cache)
        report = _measure(f"dir:{served}", _halves(dataset, limit), data)
        if as_json:
            sys.stdout.write(json.dumps(asdict(report), indent=1) + "\n")
        else:
            _print(report)
            off_topic.main(model=f"dir:{served}", dataset=dataset, cache=cache)
    if not _is_good(report):
        raise typer.Exit(1)


def _calibrate(model: Path, dataset: str, cache: Path) -> "DataConfig":
    """Write calibration.json into a model folder, like training.calibration.calibrate."""
    # Imported here: OpenMP must be told how to wait before torch is there.
    from petsearch.adapters.clip.model import load_model
    from petsearch.calibration import Gallery, fit
    from petsearch.models.folder import CALIBRATION
    from training.calibration.calibrate import prepare_texts, with_off_topic_measured
    from training.drawings.config import SAMPLE_CONFIG, read_config
    from training.runs.model_folder import write_json

    data = read_config(SAMPLE_CONFIG).data
    clip = load_model(f"dir:{model}")
    photos = load_photos(clip, dataset=dataset, cache=cache)
    gallery = Gallery(photos.embeddings, photos.breeds, photos.species)
    fitted = fit(gallery.half(0), prepare_texts(clip, data), clip.info)
    measured, _ = with_off_topic_measured(fitted, clip, gallery.half(1).embeddings)
    write_json(model / CALIBRATION, asdict(measured))
    return data


def _halves(dataset: str, limit: int | None) -> tuple[list[Photo], list[Photo]]:
    """Two halves without labels: every second photo of each breed, from its first or second."""
    halves: tuple[list[Photo], list[Photo]] = ([], [])
    seen: Counter[str] = Counter()
    for photo in from_dataset(dataset, DatasetOptions("test", "label", limit)).photos:
        breed = str(photo.metadata["breed"])
        halves[seen[breed] % 2].append(Photo(photo.filename, photo.data, {}))
        seen[breed] += 1
    return halves


def _measure(model: str, halves: tuple[list[Photo], list[Photo]], data: "DataConfig") -> Report:
    fitted_on, held_out = halves
    with standalone_server(model) as address:
        server = ServerClient(address)
        _ingest(address, held_out)
        calibration = measure_confidences(server)
        _ingest(address, fitted_on)
        report = Report(
            model=server.page("/v1/stats")["model_id"],
            calibration=calibration,
            quality=measure(server),
            composed=ComposedQueries(server).measure(),
            off_topic=measure_off_topic(server, data.off_topic_held_out),
        )
        server.close()
    return report


def _ingest(address: str, photos: Sequence[Photo]) -> None:
    with Client(address) as client:
        job = upload(client, PhotoSource(iter(photos), len(photos)), name="quality")
    if job["state"] != "succeeded":
        raise RuntimeError(f"the photos were not all ingested: {job}")


def _is_good(report: Report) -> bool:
    return report.quality.is_good and all(
        held.expected_calibration_error <= _MOST_CALIBRATION_ERROR
        and held.brier < held.brier_of_a_constant
        for held in report.calibration
    )


def _print(report: Report) -> None:
    console = Console(width=130)
    console.print(f"{report.model}, through HTTP")
    console.print(to_text(report.quality))
    for table in _tables(report):
        console.print(table)
    said = report.off_topic
    console.print(
        f"{said.off_topic_texts} off-topic texts that nothing was fitted on: no_good_match for "
        f"{said.flagged:.0%} of them and for {said.wrongly_flagged:.0%} of the breed names; AUC of "
        f"the best score alone {said.auc_of_the_best_score:.3f}. With what the API does not show:"
    )


def _tables(report: Report) -> Iterator[Table]:
    confidences = Table(
        "kind", "results", "right", "ECE", "Brier", "Brier of a constant",
        title=f"Confidences on photos not used to calibrate (bar: ECE {_MOST_CALIBRATION_ERROR})",
    )  # fmt: skip
    for held in report.calibration:
        figures = (held.expected_calibration_error, held.brier, held.brier_of_a_constant)
        confidences.add_row(
            held.kind, str(held.results), f"{held.share_right:.2f}", *(f"{x:.3f}" for x in figures)
        )
    yield confidences
    composed = Table("asked", "n", "P@5", "lightness of the first ten", title="Composed queries")
    for row in report.composed:
        composed.add_row(
            row.asked, str(row.queries), f"{row.precision_at_5:.3f}", f"{row.lightness:.2f}"
        )
    yield composed


if __name__ == "__main__":
    typer.run(main)
