"""The command `petsearch facets`."""

from typing import Annotated

import typer

from petsearch.cli.connection import Api, connect
from petsearch.cli.output import Json, print_json, print_message, print_table
from petsearch.cli.photos import filter_options as given
from petsearch.cli.photos.listing import print_unknown


def facets(
    by: Annotated[
        str, typer.Argument(help="breed, species, status, tag, attributes, or attributes.<name>.")
    ],
    *,
    species: given.Species = None,
    breed: given.Breed = None,
    status: given.Status = None,
    animal_id: given.AnimalId = None,
    missing: given.Missing = None,
    tag: given.Tag = None,
    near: given.NearPlace = None,
    since: given.Since = None,
    api: Api = None,
    as_json: Json = False,
) -> None:
    """Count photos by value, the most frequent value first."""
    filters = given.given_of(
        **{"species": species, "breed": breed, "status": status, "animal_id": animal_id},
        **{"missing": missing, "tag": tag, "near": near, "since": since},
    )
    with connect(api) as client:
        answer = client.count_by(by, **filters)
    if as_json:
        print_json(answer)
        return
    print_unknown(answer)
    if answer["unsure"]:
        print_message(f"Unsure, and so in none of the values: {answer['unsure']}")
    rows = [(entry["value"], str(entry["count"])) for entry in answer["values"]]
    print_table((by, "photos"), rows, empty="Nothing was found.")
