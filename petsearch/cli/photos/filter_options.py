"""The filters that `petsearch search`, `images list` and `facets` share."""

from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from petsearch.domain import JsonDict

_NEAR_KM = 10.0
_FARTHEST_KM = 20_038.0
"""Half round the earth."""
_NOWHERE = float("nan")
_ANY = "Repeat it for any of several."
_NONE = "Leave these out; may be repeated."
_JSON_NAMES = {"tag": "tags", "not_tag": "not_tags"}


def place(given: str) -> dict[str, float]:
    """The parser of `LAT,LON`, in degrees."""
    try:
        lat, lon = map(float, given.split(","))
    except ValueError:
        lat = lon = _NOWHERE
    if not (-90 <= lat <= 90 and -180 <= lon <= 180):
        raise typer.BadParameter(f"{given!r} is not LAT,LON, such as 52.52,13.40")
    return {"lat": lat, "lon": lon}


def near(given: str) -> str:
    """The parser of `--near`: `LAT,LON,KM`, with 10 km where no distance is given."""
    parts = given.split(",")
    wrong = f"{given!r} is not LAT,LON or LAT,LON,KM, such as 52.52,13.40,5"
    try:
        middle = place(",".join(parts[:2]))
        km = float(",".join(parts[2:]) or _NEAR_KM)
    except (ValueError, typer.BadParameter):
        raise typer.BadParameter(wrong) from None
    if not 0 < km <= _FARTHEST_KM:
        raise typer.BadParameter(wrong)
    return f"{middle['lat']},{middle['lon']},{km}"


def day_or_time(given: str) -> str:
    """The parser of dates, which stay as they are given: the server reads them in its zone."""
    try:
        datetime.fromisoformat(given.strip())
    except ValueError:
        example = "such as 2026-05-17 or 2026-05-17T12:30"
        raise typer.BadParameter(f"{given!r} is no day or time, {example}") from None
    return given


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
    str | None,
    typer.Option(
        parser=day_or_time, metavar="DATE", help="Photos that were added on this day or later."
    ),
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
