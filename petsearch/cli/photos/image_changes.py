"""What the options of `petsearch images set` change, as a JSON merge patch."""

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from petsearch.domain import JsonDict

_CLEARED = ("breed", "species", "status", "animal_id", "tags", "taken_at", "location")


def changes_of(
    fields: Mapping[str, str | None],
    *,
    place: str | None,
    tags: Sequence[str] | None,
    attributes: Sequence[str] | None,
    clear: Sequence[str] | None,
) -> "JsonDict":
    """The patch: null clears, and what is not in it stays.

    Raises:
        BadParameter: nothing is given, a field is both given and cleared, or one of them is not as
            it has to be.
    """
    changes: JsonDict = {name: value for name, value in fields.items() if value is not None}
    if place is not None:
        changes["location"] = _place(place)
    if tags:
        changes["tags"] = [*tags]
    if attributes:
        changes["attributes"] = dict(map(_attribute, attributes))
    for name in clear or ():
        if name not in _CLEARED:
            raise typer.BadParameter(f"--clear takes {', '.join(_CLEARED)}, and not {name}")
        if name in changes:
            raise typer.BadParameter(f"{name} is both given and cleared")
        changes[name] = None
    if not changes:
        raise typer.BadParameter("give what to change, such as --status adopted")
    return changes


def _place(given: str) -> dict[str, float]:
    try:
        lat, lon = (float(part) for part in given.split(","))
    except ValueError:
        lat = lon = math.nan
    if not (math.isfinite(lat) and math.isfinite(lon)):
        raise typer.BadParameter(f"--place {given}: it is not LAT,LON, such as 52.52,13.40")
    return {"lat": lat, "lon": lon}


def _attribute(given: str) -> tuple[str, str | None]:
    name, equals, value = given.partition("=")
    if not (name and equals):
        raise typer.BadParameter("--set takes NAME=VALUE")
    return name, value or None
