"""The command `petsearch search`."""

from pathlib import Path
from typing import Annotated

import typer

from petsearch.cli.connection import DEFAULT_API, Api, connect
from petsearch.cli.output import Json, print_json, print_message, print_table
from petsearch.domain import JsonDict


def search(
    *,
    words: Annotated[str, typer.Argument(help="What the photo shows.")] = "",
    image: Annotated[Path | None, typer.Option(help="Search by this photo instead.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=100)] = 10,
    species: Annotated[str | None, typer.Option()] = None,
    breed: Annotated[str | None, typer.Option()] = None,
    status: Annotated[str | None, typer.Option(help="Such as lost, found or adopted.")] = None,
    animal_id: Annotated[str | None, typer.Option(help="Photos of one animal.")] = None,
    tag: Annotated[
        list[str] | None, typer.Option(help="Repeat it for photos that have several tags.")
    ] = None,
    min_score: Annotated[float | None, typer.Option(min=-1, max=1)] = None,
    api: Api = DEFAULT_API,
    as_json: Json = False,
) -> None:
    """Search by text or by photo."""
    options = {
        **{"limit": limit, "species": species, "breed": breed, "status": status},
        **{"animal_id": animal_id, "tag": tag or None, "min_score": min_score},
    }
    if bool(words) == bool(image):
        raise typer.BadParameter("give either words or --image")
    with connect(api) as client:
        answer = (
            client.search(words, **options)
            if image is None
            else client.search_photo(_read(image), **options)
        )
    if as_json:
        print_json(answer)
    else:
        _print_hits(answer)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise typer.BadParameter(f"cannot read {path}: {error.strerror}") from error


def _print_hits(answer: JsonDict) -> None:
    if answer["searched_for"]:
        print_message(f"Searched for: {answer['searched_for']}")
    if answer["no_good_match"] and answer["items"]:
        print_message("There is no good match; these are the nearest.")
    headers = ("score", "right", "breed", "file", "image_id")
    print_table(headers, [_row(hit) for hit in answer["items"]], empty="Nothing was found.")


def _row(hit: JsonDict) -> tuple[str, ...]:
    confidence = "" if hit["confidence"] is None else f"{hit['confidence']:.0%}"
    breed = (hit["breed"] or "unknown") + ("?" if hit["breed_source"] == "predicted" else "")
    return f"{hit['score']:.3f}", confidence, breed, hit["filename"], hit["image_id"]
