"""The filters that `petsearch search`, `images list` and `facets` share."""

import math
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from petsearch.domain import JsonDict

_NEAR_KM = 10.0
_ANY = "Repeat it for any of several."
_NONE = "Leave these out; may be repeated."
_JSON_NAMES = {"tag": "tags", "not_tag": "not_tags"}


def near(given: str) -> str:
    """The parser of `--near`: `LAT,LON,KM`, with 10 km where no distance is given."""
    try:
        numbers = [float(part) for part in given.split(",")]
    except ValueError:
        numbers = []
    if len(numbers) not in (2, 3) or not all(map(math.isfinite, numbers)):
        raise typer.BadParameter(f"{given!r} is not LAT,LON or LAT,LON,KM, such as 52.52,13.40,5")
    return ",".join(map(str, [*numbers, _NEAR_KM][:3]))


Words = list[str] | None
Species = Annotated[Words, typer.Option(help=_ANY)]
Breed = Annotated[Words, typer.Option(help=_ANY)]
Status = Annotated[Words, typer.Option(help=f"Such as lost, found or adopted. {_ANY}")]
AnimalId = Annotated[Words, typer.Option(help=f"Photos of an animal. {_ANY}")]
NotSpecies = Annotated[Words, typer.Option(help=_NONE)]
NotBreed = Annotated[Words, typer.Option(help=_NONE)]
NotStatus = Annotated[Words, typer.Option(help=_NONE)]
NotAnimalId = Annotated[Words, typer.Option(help=_NONE)]
NotTag = Annotated[Words, typer.Option(help=_NONE)]
Missing = Annotated[
    Words, typer.Option(help="Photos without it: location, animal_id, status, taken_at …")
]
Tag = Annotated[Words, typer.Option(help="Repeat it for photos that have several tags.")]
NearPlace = Annotated[
    str | None,
    typer.Option(
        "--near",
        parser=near,
        metavar="LAT,LON[,KM]",
        help=f"Photos within so many km of a place, {_NEAR_KM:.0f} if not given.",
    ),
]
Since = Annotated[
    str | None, typer.Option(metavar="DATE", help="Photos that were added on this day or later.")
]


def given_of(**filters: Any) -> "JsonDict":
    """The filters that were given, as query parameters of the API."""
    return {name: value for name, value in filters.items() if value not in (None, [])}


def in_json(filters: "JsonDict") -> "JsonDict":
    """Query parameters as `filters` of a composed search."""
    named = {_JSON_NAMES.get(name, name): value for name, value in filters.items()}
    if "near" in named:
        numbers = map(float, named["near"].split(","))
        named["near"] = dict(zip(("lat", "lon", "km"), numbers, strict=True))
    return named
