"""Lints the API's OpenAPI document, in `make check`: `python -m tests.tools.openapi_lint`.

These are the recommended rules of Spectral's `oas` and of Redocly for OpenAPI 3.1, in Python, with
three more for generated clients: readable names, files as `format: binary`, and JSON Schema's own
keywords alone.
"""

import re
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from itertools import combinations
from typing import Any

import jsonschema
from openapi_spec_validator import OpenAPIV31SpecValidator

from petsearch.domain import JsonDict
from services.api.app import build_routes

Path = tuple[str, ...]
"""Where an object stands in the document: the keys that lead to it."""
Rule = Callable[[JsonDict], Iterator[str]]

_METHODS = ("get", "put", "post", "delete", "options", "head", "patch", "trace")
_ANNOTATIONS = (
    "title",
    "description",
    "default",
    "examples",
    "deprecated",
    "readOnly",
    "writeOnly",
)
_CONTENT = ("contentEncoding", "contentMediaType", "contentSchema")
_KEYWORDS = {*jsonschema.Draft202012Validator.VALIDATORS, *_ANNOTATIONS, *_CONTENT, "discriminator"}
"""JSON Schema's, and the one that OpenAPI adds to it."""
_ONE_SCHEMA = {"schema", "items", "additionalProperties", "propertyNames", "contentSchema", "not"}
_MANY_SCHEMAS = {"anyOf", "oneOf", "allOf", "prefixItems"}
_NAMED_SCHEMAS = {"schemas", "properties", "patternProperties", "$defs"}
_DATA = {"example", "examples", "default", "enum", "const", "mapping"}
_OPERATION_ID = re.compile(r"[a-z]+(_[a-z]+){0,4}")
_COMPONENT = re.compile(r"([A-Z][a-z0-9]+)+")
_PARAMETER = re.compile(r"\{([^}]*)\}")
_UNSAFE = re.compile(r"<script|eval\(", re.IGNORECASE)


def findings(document: JsonDict) -> list[str]:
    """What breaks a rule, with the rule's name; only `references` if one leads nowhere."""
    rules = (references,) if any(references(document)) else RULES
    return [f"{rule.__name__}: {found}" for rule in rules for found in rule(document)]


def objects(node: Any, path: Path = ()) -> Iterator[tuple[Path, JsonDict]]:
    """Every object of a document but those in examples and defaults, which are data."""
    if isinstance(node, dict):
        yield path, node
        inner = [
            (name, value)
            for name, value in node.items()
            if name not in _DATA or (path and path[-1] in _NAMED_SCHEMAS)
        ]
    else:
        inner = list(enumerate(node)) if isinstance(node, list) else []
    for name, value in inner:
        yield from objects(value, (*path, str(name)))


def schemas(document: JsonDict) -> Iterator[tuple[str, JsonDict]]:
    """Every schema, with its place in words."""
    for path, node in objects(document):
        is_member = path[-2:-1] and path[-2] in _MANY_SCHEMAS | _NAMED_SCHEMAS
        if is_member or (path and path[-1] in _ONE_SCHEMA):
            yield "/".join(path), node


def operations(document: JsonDict) -> Iterator[tuple[str, JsonDict]]:
    """Every operation, with its method and path."""
    for path, item in document["paths"].items():
        for method in _METHODS:
            if method in item:
                yield f"{method.upper()} {path}", item[method]


def valid_against_the_specification(document: JsonDict) -> Iterator[str]:
    """Structure, references, parameters of paths, required properties."""
    for error in OpenAPIV31SpecValidator(document).iter_errors():
        yield f"{'/'.join(map(str, error.absolute_path))}: {error.message[:200]}"


def info(document: JsonDict) -> Iterator[str]:
    """Title, description, contact and licence are there."""
    said = document["info"]
    for name in ("title", "summary", "description", "contact", "license"):
        if not said.get(name):
            yield f"info has no {name}"
    if not said.get("license", {}).keys() & {"identifier", "url"}:
        yield "the licence has neither identifier nor url"


def servers(document: JsonDict) -> Iterator[str]:
    """There are servers, with addresses that a path can follow."""
    urls = [server["url"] for server in document.get("servers", ())]
    if not urls:
        yield "there are none"
    for url in urls:
        if "example.com" in url or (url.endswith("/") and url != "/"):
            yield url


def tags(document: JsonDict) -> Iterator[str]:
    """Tags are described once, and operations have defined ones."""
    described = [tag["name"] for tag in document.get("tags", ()) if tag.get("description")]
    for name, count in Counter(described).items():
        if count > 1:
            yield f"{name} is described {count} times"
    for name, operation in operations(document):
        given = operation.get("tags", [])
        if not given or not set(given) <= set(described):
            yield f"{name} has {given or 'no tags'}"


def operation_ids(document: JsonDict) -> Iterator[str]:
    """Clients get functions of these names."""
    ids = [operation.get("operationId", "") for _, operation in operations(document)]
    for name, count in Counter(ids).items():
        if count > 1 or not _OPERATION_ID.fullmatch(name):
            yield f"{name!r}, of {count} operations"


def descriptions(document: JsonDict) -> Iterator[str]:
    """Operations are described, and nothing that is described holds a script."""
    for name, operation in operations(document):
        if not (operation.get("summary") and operation.get("description")):
            yield f"{name} lacks a summary or a description"
    for path, node in objects(document):
        if _UNSAFE.search(str(node.get("description", ""))):
            yield f"{'/'.join(path)} holds a script"


def responses(document: JsonDict) -> Iterator[str]:
    """Operations can succeed and fail."""
    for name, operation in operations(document):
        kinds = {status[0] for status in operation["responses"]}
        if not ("4" in kinds and kinds & {"2", "3"}):
            yield f"{name} has {', '.join(operation['responses'])}"


def security(document: JsonDict) -> Iterator[str]:
    """Every operation says what it takes, in schemes that are defined."""
    defined = document["components"].get("securitySchemes", {}).keys()
    for name, operation in operations(document):
        asked = operation.get("security", document.get("security"))
        if asked is None or not {scheme for either in asked for scheme in either} <= defined:
            yield f"{name} has {asked}"


def paths(document: JsonDict) -> Iterator[str]:
    """No slash at the end, no query, and no two that the same address fits equally well."""
    for path in document["paths"]:
        if path.endswith("/") or "?" in path or "{}" in path:
            yield path
    for one, other in combinations(document["paths"], 2):
        if _are_ambiguous(one, other):
            yield f"{one} and {other}"


def _are_ambiguous(one: str, other: str) -> bool:
    if one.count("/") != other.count("/") or one.count("{") != other.count("{"):
        return False
    parts = zip(one.split("/"), other.split("/"), strict=True)
    return all(a == b or "{" in a or "{" in b for a, b in parts)


def parameters(document: JsonDict) -> Iterator[str]:
    """Those of the path are declared, and none is declared twice."""
    for name, operation in operations(document):
        declared = [(said["in"], said["name"]) for said in operation.get("parameters", ())]
        in_path = {("path", parameter) for parameter in _PARAMETER.findall(name)}
        if len(declared) != len(set(declared)):
            yield f"{name} declares one twice"
        if {place for place in declared if place[0] == "path"} != in_path:
            yield f"{name} does not declare those of its path"


def references(document: JsonDict) -> Iterator[str]:
    """Every reference leads somewhere, and every schema is referred to."""
    referred = {node["$ref"] for _, node in objects(document) if "$ref" in node}
    there = {f"#/components/schemas/{name}" for name in document["components"]["schemas"]}
    for name in referred ^ there:
        yield f"{name} is {'not used' if name in there else 'not there'}"


def components(document: JsonDict) -> Iterator[str]:
    """Clients get classes of these names."""
    for name in document["components"]["schemas"]:
        if not _COMPONENT.fullmatch(name):
            yield name


def keywords(document: JsonDict) -> Iterator[str]:
    """Schemas use keywords of JSON Schema and OpenAPI alone."""
    for place, schema in schemas(document):
        unknown = schema.keys() - _KEYWORDS
        if unknown:
            yield f"{place} has {', '.join(sorted(unknown))}"


def types(document: JsonDict) -> Iterator[str]:
    """Enumerations have types and no repetitions, arrays have items, required properties exist."""
    for place, schema in schemas(document):
        values = schema.get("enum", [schema["const"]] if "const" in schema else [])
        if values and ("type" not in schema or len(set(map(str, values))) < len(values)):
            yield f"{place} has values without a type, or twice"
        if schema.get("type") == "array" and not schema.keys() & {"items", "prefixItems"}:
            yield f"{place} has no items"
        if "properties" in schema and not set(schema.get("required", ())) <= set(
            schema["properties"]
        ):
            yield f"{place} requires what it does not have"


def files(document: JsonDict) -> Iterator[str]:
    """Generated clients take `format: binary` for a file, and nothing else."""
    for place, schema in schemas(document):
        if schema.get("contentMediaType") == "application/octet-stream":
            yield place


def example_values(document: JsonDict) -> Iterator[str]:
    """Examples, defaults and enumerations are valid where they stand."""
    for place, schema in schemas(document):
        values = [*schema.get("examples", ()), *schema.get("enum", ()), *_single_values(schema)]
        yield from _invalid(place, schema, values, document)
    for path, node in objects(document):
        if path[-2:-1] == ("content",) and "schema" in node:
            named = [example["value"] for example in node.get("examples", {}).values()]
            values = [*named, *_single_values(node)]
            yield from _invalid("/".join(path), node["schema"], values, document)


def _single_values(node: JsonDict) -> list[Any]:
    return [node[name] for name in ("example", "default") if name in node]


def _invalid(
    place: str, schema: JsonDict, values: Iterable[Any], document: JsonDict
) -> Iterator[str]:
    validator = jsonschema.Draft202012Validator(
        {**schema, "components": document["components"]},
        format_checker=jsonschema.Draft202012Validator.FORMAT_CHECKER,
    )
    for value in values:
        for error in validator.iter_errors(value):
            yield f"{place}: {error.message[:200]}"


RULES: tuple[Rule, ...] = (
    *(valid_against_the_specification, info, servers, tags, operation_ids, descriptions),
    *(responses, security, paths, parameters, references, components, keywords, types),
    *(files, example_values),
)


def main() -> int:
    """Print what is found; 0 if that is nothing."""
    found = findings(build_routes().openapi())
    sys.stdout.write("".join(f"{line}\n" for line in found))
    sys.stdout.write(f"OpenAPI document: {len(RULES)} rules, {len(found)} findings\n")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
