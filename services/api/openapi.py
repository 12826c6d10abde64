"""The OpenAPI document: FastAPI's own, reworded for generated clients, linters and people.

Everything that reads the document understands JSON Schema and OpenAPI 3.1, and little of what
FastAPI and pydantic add to them.
"""

from collections.abc import Iterable, Iterator
from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse

import petsearch
from petsearch.domain import JsonDict
from services.api.responses import PROBLEM, Problem
from services.http.forwarded import public_path

_DESCRIPTION = """\
Photos of pets, found by words, by photo, or by both.

**Photos** are taken in by jobs. `POST /v1/images` responds with a job; `/v1/jobs/{job_id}/events`
follows it to its end, and `/v1/jobs/{job_id}/items` lists what became of every photo.

**Keys** are sent as `Authorization: Bearer ps_…`. Each has scopes; a server may let everybody
search.

**Empty values**: in reads and searches an optional parameter or field that is null, empty or blank
counts as left out.

**Pages**: `next_cursor` of a response is `cursor` of the next request, and null at the end. An
invalid cursor is rejected with 422.

**Errors** are problem documents (RFC 9457). `detail` is a sentence for people; the server's log
has the same `request_id`.
"""

_TAGS = {
    "search": "Find photos by words, by photo, or by both, and count them by value.",
    "images": "Upload photos; list, read, change and delete those that are indexed.",
    "jobs": "Take in many photos, and follow what becomes of each.",
    "keys": "API keys, and the sessions of the page.",
    "models": "Which model ranks the photos, and how another one replaces it.",
    "status": "Counts and health.",
    "ancestor": "Two calls of an older program, for its clients. New ones use `/v1`.",
}

_KEY = {
    "type": "http",
    "scheme": "bearer",
    "description": "An API key. Some routes take none, and some servers: see each response 401.",
}

_LIMITS = {
    "ge": "minimum",
    "gt": "exclusiveMinimum",
    "le": "maximum",
    "lt": "exclusiveMaximum",
    "multiple_of": "multipleOf",
}
"""Limits as pydantic names them where a validator of ours stands before them."""

_FASTAPI_FORM = "Body_"
_REF = "#/components/schemas/"


class Api(FastAPI):
    """A FastAPI whose document can be read by machines."""

    def __init__(self) -> None:
        super().__init__(
            title="petsearch",
            summary="Find pet photos by words or by photo.",
            description=_DESCRIPTION,
            version=petsearch.__version__,
            contact={"name": "Whoever runs this server"},
            license_info={"name": "Apache License 2.0", "identifier": "Apache-2.0"},
            openapi_tags=[{"name": tag, "description": said} for tag, said in _TAGS.items()],
            docs_url=None,
            redoc_url=None,
            # Not FastAPI's own route, which makes the document on the event loop.
            openapi_url=None,
            root_path_in_servers=False,
            # A slash too many is another address; a redirect would be one more answer to document.
            redirect_slashes=False,
        )
        self.add_route("/openapi.json", self._document, include_in_schema=False)

    def _document(self, _: Request) -> JSONResponse:
        return JSONResponse(self.openapi())

    def openapi(self) -> JsonDict:
        """The OpenAPI 3.1 document, with the path by which the current client reaches the API."""
        if self.openapi_schema is None:
            self.openapi_schema = _reworded(super().openapi())
        return {**self.openapi_schema, "servers": [{"url": public_path("") or "/"}]}


def _reworded(document: JsonDict) -> JsonDict:
    components = document["components"]
    components["schemas"][PROBLEM] = Problem.model_json_schema()
    # Not asked for by every route, and not by every server: services/api/authorisation.py.
    components["securitySchemes"] = {"key": _KEY}
    document["security"] = [{}, {"key": []}]
    new_names = _reword_forms(components["schemas"])
    for node in _objects(document):
        _reword(node)
        if node.get("$ref") in new_names:
            node["$ref"] = new_names[node["$ref"]]
    for path in document["paths"].values():
        _allow_empty(path.get("get", {}).get("parameters", ()))
    return document


def _objects(node: Any) -> Iterator[JsonDict]:
    """Every object of a document, outer ones first."""
    if isinstance(node, dict):
        yield node
        node = list(node.values())
    if isinstance(node, list):
        for value in node:
            yield from _objects(value)


def _reword(node: JsonDict) -> None:
    """Mend one object of the document, whatever it describes."""
    for name in _LIMITS.keys() & node.keys():
        if not isinstance(node[name], dict):  # else a property of that name
            node[_LIMITS[name]] = node.pop(name)
    if node.get("contentMediaType") == "application/octet-stream":
        del node["contentMediaType"]
        node["format"] = "binary"
    if "patternProperties" in node:
        # Names that do not match are rejected, and many generators know only this keyword.
        ((pattern, node["additionalProperties"]),) = node.pop("patternProperties").items()
        node.setdefault("propertyNames", {})["pattern"] = pattern
    if "itemSchema" in node:  # of OpenAPI 3.2
        del node["itemSchema"]
        node["schema"] = {"type": "string", "contentSchema": node["schema"]}
    if "in" in node and "schema" in node:
        node["schema"] = _without_null(node["schema"])


def _allow_empty(parameters: Iterable[JsonDict]) -> None:
    """In a read, a parameter without a value is one that is left out."""
    for parameter in parameters:
        if parameter["in"] == "query" and not parameter["required"]:
            parameter["allowEmptyValue"] = True


def _reword_forms(schemas: JsonDict) -> dict[str, str]:
    """Name forms after their operations; the new references by the old ones."""
    new_names = {}
    for name in [name for name in schemas if name.startswith(_FASTAPI_FORM)]:
        new_name = name.removeprefix(_FASTAPI_FORM).title().replace("_", "") + "Form"
        form = schemas.pop(name)
        fields = {field: _without_null(said) for field, said in form["properties"].items()}
        closed = {"title": new_name, "properties": fields, "additionalProperties": False}
        schemas[new_name] = form | closed
        new_names[_REF + name] = _REF + new_name
    return new_names


def _without_null(schema: JsonDict) -> JsonDict:
    """Queries, headers and forms cannot hold null; what is not wanted is left out."""
    kinds = [kind for kind in schema.get("anyOf", ()) if kind != {"type": "null"}]
    if len(kinds) != 1:
        return {**schema, "anyOf": kinds} if kinds else schema
    return {**kinds[0], **{name: said for name, said in schema.items() if name != "anyOf"}}
