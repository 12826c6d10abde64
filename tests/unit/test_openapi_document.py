"""The OpenAPI document says what generated clients need, in words they know."""

from collections.abc import Iterator
from ipaddress import ip_network

import pytest
from fastapi.testclient import TestClient

from petsearch.domain import JsonDict
from petsearch.domain.strict_model import StrictModel, entry_limits
from services.api.app import build_routes
from services.http.forwarded import ForwardedHeaders
from tests.tools.openapi_lint import objects

BINARY = {"type": "string", "format": "binary"}


@pytest.fixture(scope="module")
def document() -> JsonDict:
    return build_routes().openapi()


@pytest.fixture(scope="module")
def schemas(document: JsonDict) -> JsonDict:
    found: JsonDict = document["components"]["schemas"]
    return found


def forms(document: JsonDict) -> dict[str, JsonDict]:
    """The forms by the ids of their operations."""
    return {
        operation["operationId"]: document["components"]["schemas"][
            operation["requestBody"]["content"]["multipart/form-data"]["schema"]["$ref"][21:]
        ]
        for _, operation in objects(document)
        if "multipart/form-data" in operation.get("requestBody", {}).get("content", {})
    }


def test_files_are_binary_and_forms_are_named_after_their_operations(document: JsonDict) -> None:
    files = {
        form["title"]: {
            name
            for name, field in form["properties"].items()
            if (field.get("items") or field).items() >= BINARY.items()
        }
        for form in forms(document).values()
    }
    assert files == {
        "AddPhotosForm": {"photos"},
        "SearchByPhotoForm": {"photo"},
        "ShareSearchForm": {"photo"},
        "UploadImagesForm": {"photos"},
        "UploadSourceForm": {"file"},
    }


def test_queries_headers_and_forms_never_hold_null(document: JsonDict) -> None:
    parameters = [node["schema"] for _, node in objects(document) if {"in", "schema"} <= set(node)]
    fields = [field for form in forms(document).values() for field in form["properties"].values()]
    assert len(parameters) > 50
    assert [said for said in parameters + fields if {"type": "null"} in said.get("anyOf", ())] == []


def test_optional_parameters_of_reads_alone_may_be_empty(document: JsonDict) -> None:
    may_be_empty = {
        (method, parameter["name"]): parameter.get("allowEmptyValue", False)
        for path in document["paths"].values()
        for method, operation in path.items()
        for parameter in operation.get("parameters", ())
        if parameter["in"] == "query"
    }
    assert may_be_empty["get", "limit"]
    assert may_be_empty["get", "tag"]
    assert not may_be_empty["get", "q"]
    assert not may_be_empty["delete", "animal_id"]
    assert not may_be_empty["post", "accept_worse"]


def sent_schemas(document: JsonDict) -> Iterator[tuple[str, JsonDict]]:
    """The schemas of parameters and bodies with all that they are made of, and their places."""
    waiting = [
        ("/".join(path), node)
        for path, node in objects(document["paths"])
        if path[-1:] == ("requestBody",) or path[-2:-1] == ("parameters",)
    ]
    seen = set[str]()
    while waiting:
        place, schema = waiting.pop()
        for path, node in objects(schema):
            yield f"{place}/{'/'.join(path)}", node
            name = node.get("$ref", "").rpartition("/")[2]
            if name and name not in seen:
                seen.add(name)
                waiting.append((name, document["components"]["schemas"][name]))


def test_lists_and_maps_that_are_sent_say_how_much_they_take(document: JsonDict) -> None:
    limits = {
        place: node.get("maxItems" if node["type"] == "array" else "maxProperties")
        for place, node in sent_schemas(document)
        if isinstance(node.get("additionalProperties"), dict)
        or (node.get("type") == "array" and node["items"] != BINARY)  # files are counted
    }
    assert len(limits) > 40
    assert [place for place, most in limits.items() if most is None] == []


def strict_models(base: type[StrictModel] = StrictModel) -> Iterator[type[StrictModel]]:
    for model in base.__subclasses__():
        yield model
        yield from strict_models(model)


def test_lists_and_objects_in_json_have_a_limit() -> None:
    """Also in JSON that is a field of a form, which no document describes."""
    limits = {
        f"{model.__name__}.{name}": most
        for model in strict_models()
        for name, most in entry_limits(model).items()
    }
    assert limits.keys() >= {"FiltersBody.missing", "PhotoMetadata.attributes", "UrlsSpec.urls"}
    assert [name for name, most in limits.items() if most is None] == []


def test_limits_behind_validators_are_published(schemas: JsonDict) -> None:
    near = schemas["NearBody"]["properties"]
    assert near["km"].items() >= {"exclusiveMinimum": 0, "maximum": 20038}.items()
    assert near["lat"].items() >= {"minimum": -90, "maximum": 90}.items()


def test_attributes_are_a_map_from_names_to_texts(schemas: JsonDict) -> None:
    attributes = schemas["PhotoMetadata"]["properties"]["attributes"]
    assert attributes["additionalProperties"]["type"] == "string"
    assert "=" in attributes["propertyNames"]["pattern"]


def test_the_events_of_a_job_have_a_type(document: JsonDict, schemas: JsonDict) -> None:
    answer = document["paths"]["/v1/jobs/{job_id}/events"]["get"]["responses"]["200"]
    assert answer["content"]["text/event-stream"]["schema"] == {
        "type": "string",
        "contentSchema": {"$ref": "#/components/schemas/JobEvent"},
    }
    event = schemas["JobEvent"]
    assert event["properties"]["event"]["const"] == "job"
    assert event["properties"]["data"]["$ref"] == "#/components/schemas/JobBody"


@pytest.mark.parametrize(("prefix", "url"), [("", "/"), ("/pets", "/pets")])
def test_the_server_is_where_the_client_reached_it(prefix: str, url: str) -> None:
    app = ForwardedHeaders(build_routes(), trusted=[ip_network("192.0.2.0/24")])
    proxy = TestClient(app, client=("192.0.2.7", 1), headers={"X-Forwarded-Prefix": prefix})
    assert [proxy.get("/openapi.json").json()["servers"] for _ in range(2)] == [[{"url": url}]] * 2
