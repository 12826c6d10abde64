"""How good are the answers of a running server on a labelled data set? Asked from outside, by HTTP.

The truth comes from the file names (`Maine_Coon_119.jpg`), so the data set must have been ingested
with `--no-labels`. Prints the mean precision@5 over the breed names as queries, and the share of
photos whose predicted breed is the true one (top-1).
"""

import json
import statistics
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Annotated

import httpx
import typer

from petsearch.model import JsonDict
from petsearch.prompts import OXFORD_LABELS, normalise_name

_K = 5
_LOWEST_PRECISION = 0.80
_LOWEST_TOP_1 = 0.67


@dataclass(frozen=True)
class Quality:
    """What was found on how many photos."""

    photos: int
    precision_at_5: float
    top_1: float
    mean_per_class_recall: float


def main(
    *,
    api: Annotated[str, typer.Option(help="Address of the server.")] = "http://127.0.0.1:8000",
    as_json: Annotated[bool, typer.Option("--json")] = False,
) -> None:
    """Ask, print, and end with exit code 1 below the bars of Oxford pets with pets-base."""
    with httpx.Client(base_url=api, timeout=60) as http:
        precisions = [_precision(http, label.breed) for label in OXFORD_LABELS]
        pairs = [(_truth(image), image["predicted"]["breed"]) for image in _images(http)]
    every = Counter(truth for truth, _ in pairs)
    right = Counter(truth for truth, found in pairs if truth == found)
    quality = Quality(
        photos=len(pairs),
        precision_at_5=statistics.mean(precisions),
        top_1=right.total() / len(pairs),
        mean_per_class_recall=statistics.mean(right[breed] / every[breed] for breed in every),
    )
    sys.stdout.write(json.dumps(asdict(quality)) if as_json else _to_text(quality))
    sys.stdout.write("\n")
    if quality.precision_at_5 < _LOWEST_PRECISION or quality.top_1 < _LOWEST_TOP_1:
        raise typer.Exit(1)


def _precision(http: httpx.Client, breed: str) -> float:
    answer = http.get("/v1/search", params={"q": breed, "limit": _K}).raise_for_status().json()
    return sum(_truth(hit) == breed for hit in answer["items"]) / _K


def _images(http: httpx.Client) -> Iterator[JsonDict]:
    cursor: str | None = None
    while True:
        params: dict[str, str | int] = {"limit": 100, **({"cursor": cursor} if cursor else {})}
        page = http.get("/v1/images", params=params).raise_for_status().json()
        yield from page["items"]
        cursor = page["next_cursor"]
        if cursor is None:
            return


def _truth(image: JsonDict) -> str:
    """`Maine_Coon_119.jpg`, or an image_id without an ending: maine coon."""
    stem = str(image["filename"]).removesuffix(".jpg")
    return normalise_name(stem.rpartition("_")[0])


def _to_text(quality: Quality) -> str:
    return (
        f"{quality.photos} photos, {len(OXFORD_LABELS)} breed names as queries: mean P@{_K} "
        f"{quality.precision_at_5:.3f} (bar: {_LOWEST_PRECISION}), top-1 of the predicted breeds "
        f"{quality.top_1:.3f} (bar: {_LOWEST_TOP_1}), mean per-class recall "
        f"{quality.mean_per_class_recall:.3f}"
    )


if __name__ == "__main__":
    typer.run(main)
