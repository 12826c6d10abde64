"""Rejects what a route does not understand in its query, form or JSON.

A filter that is ignored shows what it should hide, and deletes what it should keep.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from http import HTTPStatus
from typing import Any
from weakref import WeakKeyDictionary

from anyio.to_thread import run_sync
from fastapi import HTTPException, Request
from fastapi.dependencies.models import Dependant
from fastapi.params import Form
from fastapi.routing import APIRoute

from petsearch.domain.errors import InvalidInput, unknown_name
from petsearch.domain.strict_model import is_one_of, read_json
from petsearch.domain.visible_text import is_blank
from services.api.authorisation import METHODS
from services.api.query_strings import READS, query_as_sent

_EMPTY_BODIES = (b"", b"{}", b"null")
_QUERY_FIELDS = WeakKeyDictionary[Callable[..., Any], dict[str, bool]]()
"""By endpoint: those of a search take 0.04 ms to collect."""


async def check_input(request: Request) -> None:
    """The dependency of every route of the API.

    Raises:
        HTTPException: 405, if the path is one of another route that has not this method.
        InvalidInput: the query's encoding is broken, a name is unknown, one that takes a single
            value is given more than once, a call that changes something has a blank selector, or
            a call without a body has one.
    """
    route = request.scope["route"]
    _check_method(request)
    query = query_as_sent(request.scope)
    if query:
        _check_names("query parameter", query, _query_fields(route))
    if request.method not in READS:
        _check_selectors([*request.path_params.items(), *query])
    await _check_body(request, route)


def _check_method(request: Request) -> None:
    """`/images/ids` is a path of its own, and reads as that of an image, too."""
    methods = METHODS.get(request.scope["path"])
    if methods is not None and request.method not in methods:
        raise HTTPException(HTTPStatus.METHOD_NOT_ALLOWED)


def _check_names(
    kind: str, given: Iterable[tuple[str, object]], takes_many: Mapping[str, bool]
) -> None:
    for name, count in Counter(name for name, _ in given).items():
        if name not in takes_many:
            raise unknown_name(kind, name, takes_many)
        if count > 1 and not takes_many[name]:
            raise InvalidInput(f"{name} is given more than once; it takes one value.")


def _check_selectors(given: Iterable[tuple[str, object]]) -> None:
    for name, value in given:
        if is_blank(str(value)):
            raise InvalidInput(f"{name} is empty; nothing was changed.")


async def _check_body(request: Request, route: APIRoute) -> None:
    """FastAPI has read the body by now; requests keep it."""
    if route.body_field is None:
        if await _brings_body(request):
            raise InvalidInput("This call takes no body; leave it out.")
    elif isinstance(route.body_field.field_info, Form):
        form = await request.form()
        _check_names("form field", form.multi_items(), dict(_form_fields(route.dependant)))
    elif "json" in request.headers.get("content-type", "").lower():
        # In a thread, because decoding in Python takes a while, and gives way to others there.
        await run_sync(read_json, await request.body(), "The body")


async def _brings_body(request: Request) -> bool:
    """Reads no more than it takes to see one."""
    begun = b""
    async for block in request.stream():
        begun += block.strip()
        if len(begun) > max(map(len, _EMPTY_BODIES)):
            return True
    return begun not in _EMPTY_BODIES


def _query_fields(route: APIRoute) -> dict[str, bool]:
    """The query parameters of a route, and whether each may be repeated."""
    if route.endpoint not in _QUERY_FIELDS:
        _QUERY_FIELDS[route.endpoint] = {
            field.alias: is_one_of(field.field_info.annotation, list)
            for part in _parts(route.dependant)
            for field in part.query_params
        }
    return _QUERY_FIELDS[route.endpoint]


def _form_fields(dependant: Dependant) -> dict[str, bool]:
    return {
        field.alias: is_one_of(field.field_info.annotation, list)
        for part in _parts(dependant)
        for field in part.body_params
    }


def _parts(dependant: Dependant) -> Iterator[Dependant]:
    yield dependant
    for inner in dependant.dependencies:
        yield from _parts(inner)
