"""The command `petsearch search`."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from petsearch.cli.connection import Api, address_of, connect
from petsearch.cli.output import Json, print_json, print_message
from petsearch.cli.photos import filter_options as given
from petsearch.cli.photos.ids import find_id, may_be_an_id, may_be_words
from petsearch.cli.photos.listing import print_images, print_unknown

if TYPE_CHECKING:
    from petsearch.client import Client
    from petsearch.domain import JsonDict


def search(
    *,
    words: Annotated[str, typer.Argument(help="What the photo shows.")] = "",
    image: Annotated[Path | None, typer.Option(help="Search by this photo.")] = None,
    like: Annotated[
        list[str] | None,
        typer.Option(metavar="ID|FILE", help="Like this indexed image or photo; may be repeated."),
    ] = None,
    unlike: Annotated[
        list[str] | None,
        typer.Option(
            "--not", metavar="WORDS|ID", help="Less like these words or image; may be repeated."
        ),
    ] = None,
    limit: Annotated[int, typer.Option(min=1, max=100)] = 10,
    species: given.Species = None,
    breed: given.Breed = None,
    status: given.Status = None,
    animal_id: given.AnimalId = None,
    not_species: given.NotSpecies = None,
    not_breed: given.NotBreed = None,
    not_status: given.NotStatus = None,
    not_animal_id: given.NotAnimalId = None,
    not_tag: given.NotTag = None,
    missing: given.Missing = None,
    tag: given.Tag = None,
    near: given.NearPlace = None,
    since: given.Since = None,
    min_score: Annotated[float | None, typer.Option(min=-1, max=1)] = None,
    api: Api = None,
    as_json: Json = False,
) -> None:
    """Search by text, by a photo, by indexed images, or by all of them together."""
    filters = given.given_of(
        **{"species": species, "breed": breed, "status": status, "animal_id": animal_id},
        **{"not_species": not_species, "not_breed": not_breed, "not_status": not_status},
        **{"not_animal_id": not_animal_id, "not_tag": not_tag, "missing": missing, "tag": tag},
        **{"near": near, "since": since},
    )
    photo, likes = _photo_and_ids(image, like or [])
    if not (words or photo or likes):
        raise typer.BadParameter("give words, --image or --like; petsearch images list needs none")
    data = _read(photo) if photo else None
    query: JsonDict = {"text": words or None, "limit": limit, "min_score": min_score}
    with connect(api) as client:
        query["positive"] = [{"image_id": find_id(client, one)} for one in likes]
        query["negative"] = [_example(client, one) for one in unlike or []]
        query["filters"] = given.in_json(filters)
        answer = client.search_composed(given.given_of(**query), data)
        if as_json:
            print_json(answer)
        else:
            _print_answer(answer, address_of(api), client.thumbnail)


def _photo_and_ids(image: Path | None, likes: list[str]) -> tuple[Path | None, list[str]]:
    """The photo to send, and the ids among `likes`, which no file is called."""
    ids = [one for one in likes if may_be_an_id(one) and not Path(one).is_file()]
    photos = [*([image] if image else []), *(Path(one) for one in likes if one not in ids)]
    if len(photos) > 1:
        raise typer.BadParameter("a search takes one photo; give others as ids of indexed images")
    return (photos[0] if photos else None), ids


def _example(client: "Client", given: str) -> "JsonDict":
    return {"text": given} if may_be_words(given) else {"image_id": find_id(client, given)}


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise typer.BadParameter(f"cannot read {path}: {error.strerror}") from error


def _print_answer(answer: "JsonDict", address: str, thumbnail_of: Callable[[str], bytes]) -> None:
    if answer["searched_for"]:
        print_message(f"Searched for: {answer['searched_for']}")
    print_unknown(answer)
    if answer["hint"] == "english_only":
        print_message("The model knows English only: try English words, or a photo.")
    hits = answer["items"]
    if answer["no_good_match"] and hits:
        print_message("There is no good match; these are the nearest.")
    scores = [f"{hit['score']:.3f}" for hit in hits]
    shares = ["" if hit["confidence"] is None else f"{hit['confidence']:.0%}" for hit in hits]
    own = {"score": scores, "right": shares}
    print_images(hits, address, own, empty="Nothing was found.", thumbnail_of=thumbnail_of)
