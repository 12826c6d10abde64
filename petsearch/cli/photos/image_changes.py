"""What the options of `petsearch images set` change, as a JSON merge patch."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from petsearch.domain import JsonDict

_CLEARED = ("breed", "species", "status", "animal_id", "tags", "taken_at", "location")


def changes_of(
    fields: Mapping[str, str | None],
    *,
    place: Mapping[str, float] | None,
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
        changes["location"] = {**place}
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


def _attribute(given: str) -> tuple[str, str | None]:
    name, equals, value = given.partition("=")
    if not (name and equals):
        raise typer.BadParameter("--set takes NAME=VALUE")
    return name, value or None
