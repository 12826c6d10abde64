"""The linter of the OpenAPI document: nothing in ours, and every rule notices what it is for."""

import copy
from typing import Any

import pytest

from petsearch.domain import JsonDict
from services.api.app import build_routes
from tests.tools import openapi_lint

PET = "#/components/schemas/Pet"
FINE: JsonDict = {
    "openapi": "3.1.0",
    "info": {
        "title": "Pets",
        "summary": "Pets.",
        "description": "All pets.",
        "version": "1",
        "contact": {"name": "Us"},
        "license": {"name": "MIT", "identifier": "MIT"},
    },
    "servers": [{"url": "/"}],
    "tags": [{"name": "pets", "description": "Pets."}],
    "security": [{"key": []}],
    "paths": {
        "/pets/{name}": {
            "get": {
                "operationId": "get_pet",
                "summary": "One pet",
                "description": "By its name.",
                "tags": ["pets"],
                "parameters": [
                    {"in": "path", "name": "name", "required": True, "schema": {"type": "string"}}
                ],
                "responses": {
                    "200": {
                        "description": "It.",
                        "content": {"application/json": {"schema": {"$ref": PET}}},
                    },
                    "404": {"description": "None."},
                },
            }
        }
    },
    "components": {
        "schemas": {
            "Pet": {
                "type": "object",
                "properties": {
                    "kind": {"type": "string", "enum": ["cat", "dog"], "default": "cat"},
                    "tags": {"type": "array", "items": {"type": "string"}},
                    # Names of keywords, as properties and in examples, are no keywords.
                    "le": {"type": "integer", "minimum": 0, "examples": [1]},
                    "default": {"type": "object", "examples": [{"ge": 1}]},
                },
                "required": ["kind"],
            }
        },
        "securitySchemes": {"key": {"type": "http", "scheme": "bearer"}},
    },
}
GET = ("paths", "/pets/{name}", "get")
JSON = (*GET, "responses", "200", "content", "application/json")
KIND = ("components", "schemas", "Pet", "properties", "kind")
TAGS = ("components", "schemas", "Pet", "properties", "tags")


def changed(place: tuple[str, ...], value: Any) -> JsonDict:
    """The fine document with another value at a place."""
    document = copy.deepcopy(FINE)
    node = document
    for name in place[:-1]:
        node = node[name]
    node[place[-1]] = value
    return document


def test_nothing_is_found_in_the_document_of_the_api() -> None:
    assert openapi_lint.findings(build_routes().openapi()) == []


def test_nothing_is_found_in_a_fine_document() -> None:
    assert openapi_lint.findings(FINE) == []


@pytest.mark.parametrize(
    ("rule", "place", "value"),
    [
        ("valid_against_the_specification", (*JSON, "itemSchema"), {}),
        ("references", (*JSON, "schema"), {"$ref": "#/components/schemas/X"}),
        ("valid_against_the_specification", (*GET, "parameters"), []),
        ("info", ("info", "contact"), {}),
        ("info", ("info", "license"), {"name": "MIT"}),
        ("servers", ("servers",), []),
        ("servers", ("servers",), [{"url": "/pets/"}]),
        ("servers", ("servers",), [{"url": "https://example.com"}]),
        ("tags", ("tags",), [{"name": "pets"}]),
        ("tags", ("tags",), FINE["tags"] * 2),
        ("tags", (*GET, "tags"), []),
        ("tags", (*GET, "tags"), ["dogs"]),
        ("operation_ids", (*GET, "operationId"), ""),
        ("operation_ids", (*GET, "operationId"), "get_pet_pets__name__get"),
        ("operation_ids", ("paths", "/pets"), {"get": FINE["paths"]["/pets/{name}"]["get"]}),
        ("descriptions", (*GET, "description"), ""),
        ("descriptions", (*KIND, "description"), "<script>1</script>"),
        ("responses", (*GET, "responses"), {"200": {"description": "It."}}),
        ("responses", (*GET, "responses"), {"404": {"description": "None."}}),
        ("security", (*GET, "security"), [{"cookie": []}]),
        ("security", ("security",), None),
        ("paths", ("paths", "/pets/"), {}),
        ("paths", ("paths", "/pets?x=1"), {}),
        ("paths", ("paths", "/{kind}/rex"), {}),
        ("parameters", (*GET, "parameters"), []),
        (
            "parameters",
            (*GET, "parameters"),
            FINE["paths"]["/pets/{name}"]["get"]["parameters"] * 2,
        ),
        ("references", ("components", "schemas", "Dog"), {"type": "object"}),
        ("components", ("components", "schemas", "Body_get_pet"), {"type": "object"}),
        ("keywords", (*KIND, "ge"), 1),
        ("keywords", (*TAGS, "items"), {"type": "string", "nullable": True}),
        ("types", KIND, {"enum": ["cat"]}),
        ("types", KIND, {"type": "string", "enum": ["cat", "cat"]}),
        ("types", TAGS, {"type": "array"}),
        ("types", ("components", "schemas", "Pet", "required"), ["name"]),
        ("files", (*KIND, "contentMediaType"), "application/octet-stream"),
        ("example_values", (*KIND, "default"), "cow"),
        ("example_values", (*KIND, "examples"), ["cow"]),
        ("example_values", KIND, {"type": "string", "enum": [1]}),
        ("example_values", (*JSON, "example"), {"kind": "cow"}),
        ("example_values", (*JSON, "examples"), {"a": {"value": {"kind": "cow"}}}),
    ],
)
def test_a_rule_notices_what_it_is_for(rule: str, place: tuple[str, ...], value: Any) -> None:
    (check,) = [check for check in openapi_lint.RULES if check.__name__ == rule]
    assert list(check(changed(place, value)))
