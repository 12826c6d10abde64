"""Refuses query parameters that a route does not know: a filter passed over shows what it should
hide, and deletes what it should keep.
"""

import types
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Union, get_args, get_origin

from fastapi import Request
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute
from rapidfuzz import process

from petsearch.domain.errors import InvalidInput

_SHOWN = 100


async def check_query(request: Request) -> None:
    """The dependency of every route of the API.

    Raises:
        InvalidInput: a name is unknown, or one that takes a single value is given more than once.
    """
    given = request.query_params
    if not given:
        return
    takes_many = _query_names(request.scope["route"])
    for name in given:
        if name not in takes_many:
            raise InvalidInput(_unknown(name[:_SHOWN], takes_many))
        if not takes_many[name] and len(given.getlist(name)) > 1:
            raise InvalidInput(f"{name} is given more than once; it takes one value.")


def _unknown(name: str, known: Mapping[str, bool]) -> str:
    if not known:
        return f"There is no query parameter {name!r} here; this call takes none."
    nearest = process.extractOne(name, known.keys(), score_cutoff=60)
    hint = f" Did you mean {nearest[0]!r}?" if nearest else ""
    return f"There is no query parameter {name!r} here.{hint} There are: {', '.join(known)}."


def _query_names(route: APIRoute) -> Mapping[str, bool]:
    """The query parameters of a route, and whether each may be repeated."""
    return dict(_names_of(route.dependant))


def _names_of(dependant: Dependant) -> Iterator[tuple[str, bool]]:
    for field in dependant.query_params:
        yield field.alias, _is_list(field.field_info.annotation)
    for inner in dependant.dependencies:
        yield from _names_of(inner)


def _is_list(annotation: Any) -> bool:
    origin = get_origin(annotation)
    if origin in (Union, types.UnionType, Annotated):
        return any(map(_is_list, get_args(annotation)))
    return origin is list
