"""Search quality of a running server on a labelled data set, measured over HTTP.

The data set must have been ingested with `--no-labels`: labels are taken from file names. Queries
are the breed names, and every photo for similar photos. `make bench-quality` starts such a server
and measures more: bench/quality_run.py.
"""

import json
import statistics
import sys
from collections import Counter
from dataclasses import asdict, dataclass
from typing import Annotated

import typer

from bench.rankings import (
    K,
    ServerClient,
    average_precision,
    mean_per_class_recall,
    precision_at_5,
    truth_of,
)
from petsearch.domain.prompts import OXFORD_LABELS

_DEPTH = 1000
_LOWEST_PRECISION = 0.80
_LOWEST_TOP_1 = 0.67


@dataclass(frozen=True)
class Quality:
    """The figures, and the number of photos."""

    photos: int
    precision_at_5: float
    mean_average_precision: float
    """Over the first 1,000 results, where the API ends; what comes later counts as not found."""
    photo_precision_at_5: float
    """Of photos like each photo, itself left out: share that show its breed."""
    top_1: float
    mean_per_class_recall: float

    @property
    def is_good(self) -> bool:
        """Whether the figures reach the bars for Oxford pets with pets-base."""
        return self.precision_at_5 >= _LOWEST_PRECISION and self.top_1 >= _LOWEST_TOP_1


def measure(server: ServerClient) -> Quality:
    """Query every breed and every photo."""
    images = list(server.images())
    every = Counter(truth_of(image) for image in images)
    asked = [label.breed for label in OXFORD_LABELS if label.breed in every]
    rankings = {breed: server.ranking("/v1/search", _DEPTH, q=breed) for breed in asked}
    alike = []
    for image in images:
        path = f"/v1/images/{image['image_id']}/similar"
        alike.append(precision_at_5(server.page(path, limit=K)["items"], truth_of(image)))
    top_1, recall = mean_per_class_recall(images)
    return Quality(
        photos=len(images),
        precision_at_5=statistics.mean(precision_at_5(rankings[one], one) for one in asked),
        mean_average_precision=statistics.mean(
            average_precision(rankings[one], one, every[one]) for one in asked
        ),
        photo_precision_at_5=statistics.mean(alike),
        top_1=top_1,
        mean_per_class_recall=recall,
    )


def to_text(quality: Quality) -> str:
    """The figures as a sentence."""
    return (
        f"{quality.photos} photos, {len(OXFORD_LABELS)} breed names as queries: mean P@{K} "
        f"{quality.precision_at_5:.3f} (bar: {_LOWEST_PRECISION}), mAP (first {_DEPTH} results) "
        f"{quality.mean_average_precision:.3f}; photos like each photo: same-breed P@{K} "
        f"{quality.photo_precision_at_5:.3f}; top-1 of the predicted breeds {quality.top_1:.3f} "
        f"(bar: {_LOWEST_TOP_1}), mean per-class recall {quality.mean_per_class_recall:.3f}"
    )


def main(
    *,
    api: Annotated[str, typer.Option(help="Address of the server.")] = "http://127.0.0.1:8000",
    as_json: Annotated[bool, typer.Option("--json")] = False,
) -> None:
    """Measure and print; exits with code 1 below the bars for Oxford pets with pets-base."""
    server = ServerClient(api)
    quality = measure(server)
    server.close()
    sys.stdout.write((json.dumps(asdict(quality)) if as_json else to_text(quality)) + "\n")
    if not quality.is_good:
        raise typer.Exit(1)


if __name__ == "__main__":
    typer.run(main)
