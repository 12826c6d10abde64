"""The command `petsearch duplicates`."""

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from petsearch.cli.connection import Api, address_of, connect
from petsearch.cli.output import Json, print_json
from petsearch.cli.photos.listing import print_images

if TYPE_CHECKING:
    from petsearch.client import Client
    from petsearch.domain import JsonDict

_MOST_AT_A_TIME = 100


class Tier(StrEnum):
    """How much alike the photos of a group are."""

    EXACT = "exact"
    SAME_PHOTO = "same_photo"
    SIMILAR = "similar"


def duplicates(
    *,
    tier: Annotated[
        Tier,
        typer.Option(
            help="exact: the same file came more than once; same_photo: resized or recompressed; "
            "similar: near for the model."
        ),
    ] = Tier.SAME_PHOTO,
    limit: Annotated[int, typer.Option(min=1, help="Number of groups.")] = 20,
    min_score: Annotated[
        float | None, typer.Option(min=0, max=1, help="Least score of similar photos.")
    ] = None,
    api: Api = None,
    as_json: Json = False,
) -> None:
    """List photos that are alike, in groups. Nothing is changed."""
    with connect(api) as client:
        groups = _groups(client, tier, limit, min_score)
    if as_json:
        print_json({"items": groups})
        return
    images = [image for group in groups for image in group["images"]]
    numbers = [f"{number}" for number, group in enumerate(groups, 1) for _ in group["images"]]
    times = [f"{len(image['sources'])}" for image in images]
    own = {"group": numbers, "times": times}
    print_images(images, address_of(api), own, empty="There are no duplicates.")


def _groups(client: "Client", tier: Tier, limit: int, min_score: float | None) -> "list[JsonDict]":
    """The first `limit` groups, in as many calls as that takes."""
    groups: list[JsonDict] = []
    cursor: str | None = None
    while len(groups) < limit:
        most = min(limit - len(groups), _MOST_AT_A_TIME)
        page = client.duplicates(tier.value, limit=most, cursor=cursor, min_score=min_score)
        groups += page["items"]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    return groups
