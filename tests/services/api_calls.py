"""A valid request of every route of the API, by the examples in its OpenAPI document."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol
from urllib.parse import urlencode

from fastapi import FastAPI
from fastapi.testclient import TestClient

from petsearch.domain import JsonDict
from tests import pictures
from tests.services.test_authorisation import routes_of

NOT_OF_THE_API = {"GET /openapi.json"}


class Answer(Protocol):
    """A response of the test client."""

    status_code: int

    @property
    def text(self) -> str: ...

    def json(self) -> Any: ...


@dataclass(frozen=True)
class Call:
    """A request that a route would answer well."""

    method: str
    path: str
    params: Mapping[str, Any] = field(default_factory=dict)
    body: JsonDict | None = None
    form: Mapping[str, Any] | None = None
    files: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.method} {self.path}"

    def send(self, api: TestClient, more: str = "", *, body: bytes = b"", **fields: str) -> Answer:
        """Send it with `more` query parameters, another body or more form fields."""
        query = "&".join(filter(None, [urlencode(self.params), more]))
        arguments: dict[str, Any] = {}
        if self.form is not None or fields:
            photos = [(name, ("a.jpg", pictures.jpeg(1))) for name in self.files]
            arguments = {"data": {**(self.form or {}), **fields}, "files": photos or None}
        elif self.body is not None or body:
            content = body or json.dumps(self.body).encode()
            arguments = {"content": content, "headers": {"Content-Type": "application/json"}}
        return api.request(self.method, f"{self.path}?{query}", **arguments)


def valid_calls(api: TestClient, image_id: str, job_id: str) -> list[Call]:
    """A request that each route would answer well, with an image and a job that are there."""
    assert isinstance(api.app, FastAPI)
    names = {
        "image_id": image_id,
        "job_id": job_id,
        "model_id": "tiny-000000000000",
        "key_id": "0123456789ab",
        "filename": "1.jpg",
        "share_id": "A" * 22,
    }
    document = api.app.openapi()
    documented = {
        f"{method.upper()} {path}": call
        for path, described in document["paths"].items()
        for method, call in described.items()
    }
    routes = {name.replace(":path}", "}") for name in routes_of(api.app.routes)} - NOT_OF_THE_API
    assert routes == set(documented)
    return [_call_of(document, route, documented[route], names) for route in sorted(routes)]


def _call_of(document: JsonDict, route: str, described: JsonDict, names: Mapping[str, str]) -> Call:
    method, template = route.split()
    path = re.sub(r"\{([^}]+)\}", lambda found: names[found[1]], template)
    params = {
        parameter["name"]: example_of(document, parameter["schema"])
        for parameter in described.get("parameters", ())
        if parameter["in"] == "query" and parameter.get("required")
    }
    contents = described.get("requestBody", {}).get("content", {})
    for kind, content in contents.items():
        schema = _resolved(document, content["schema"])
        required = schema.get("required", ())
        if kind.startswith("multipart"):
            return Call(method, path, params, form={}, files=tuple(required))
        example = schema.get("examples", [None])[0] or {
            name: example_of(document, schema["properties"][name]) for name in required
        }
        return Call(method, path, params, body=example)
    return Call(method, path, params)


def _resolved(document: JsonDict, schema: JsonDict) -> JsonDict:
    name = schema.get("$ref", "").rpartition("/")[2]
    return document["components"]["schemas"][name] if name else schema


def example_of(document: JsonDict, schema: JsonDict) -> Any:
    schema = _resolved(document, schema)
    if schema.get("type") == "array":
        return [example_of(document, schema["items"])]
    return [*schema.get("examples", ()), *schema.get("enum", ()), "example"][0]


def described_call(document: JsonDict, call: Call) -> JsonDict:
    found: JsonDict
    for path, described in sorted(document["paths"].items(), key=lambda item: "{" in item[0]):
        if re.fullmatch(re.sub(r"\{[^}]+\}", "[^/]+", path), call.path):
            found = described.get(call.method.lower(), {})
            return found
    raise AssertionError(call.path)
