"""What schemathesis is told of the API that no schema says; loaded by `tests/fuzz.py`."""

import json
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any

import hypothesis
import jsonschema
import schemathesis
from schemathesis import Case, HookContext, Response
from schemathesis.core.failures import AcceptedNegativeData, Failure

from petsearch.domain.strict_model import without_nothing

# Schemathesis asks Hypothesis for inputs that are accepted, which then spends two thirds of a run
# on simplifying those; no option turns that off.
hypothesis.target = lambda *_, **__: 0.0


@schemathesis.hook
def filter_failure(  # its parameters are schemathesis'
    context: HookContext,  # noqa: ARG001
    failure: Failure,
    case: Case[Any],
    response: Response,  # noqa: ARG001
) -> bool:
    """False where a read or a search was accepted whose only mistakes are empty values.

    An optional parameter or field that is null, empty or blank is as if it was left out, whatever
    its type; a schema of that would spoil every type in generated clients.
    """
    if not isinstance(failure, AcceptedNegativeData):
        return True
    if case.operation.label == "POST /v1/search":
        given, said = case.body, _said(case.body)
        mistakes = _mistakes(said, {"$ref": "#/components/schemas/SearchRequest"}, case)
    elif case.method == "GET":
        given = dict(case.query or {})
        said = without_nothing({name: without_nothing(value) for name, value in given.items()})
        mistakes = _mistakes_of_query(said, case)
    else:
        return True
    return said == given or any(mistakes)


def _said(body: Any) -> Any:
    """The body without what says nothing, at any depth."""
    said = without_nothing(body)
    if isinstance(said, dict):
        return {name: _said(value) for name, value in said.items()}
    return [_said(value) for value in said] if isinstance(said, list) else said


def _mistakes_of_query(query: Mapping[str, Any], case: Case[Any]) -> Iterator[Any]:
    declared = {
        parameter["name"]: parameter
        for parameter in case.operation.definition.raw["parameters"]
        if parameter["in"] == "query"
    }
    yield from query.keys() - declared.keys()
    for name, parameter in declared.items():
        if name in query:
            found = [[*_mistakes(value, parameter["schema"], case)] for value in _read(query[name])]
            yield from min(found, key=len)
        elif parameter["required"]:
            yield name


def _read(value: Any) -> list[Any]:
    """What a value of a query may stand for: text, a list of one, or a number and its like."""
    if isinstance(value, list):
        return [[_as_sent(one) for one in value]]
    sent = _as_sent(value)
    readings = [sent, [sent]]
    with suppress(ValueError):
        readings.append(json.loads(sent))
    return readings


def _as_sent(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _mistakes(value: Any, schema: Mapping[str, Any], case: Case[Any]) -> Iterator[Any]:
    components = case.operation.schema.raw_schema["components"]
    checker = jsonschema.Draft202012Validator.FORMAT_CHECKER
    whole = {**schema, "components": components}
    return iter(jsonschema.Draft202012Validator(whole, format_checker=checker).iter_errors(value))
