"""The API against its own OpenAPI document; `make fuzz` tries far more cases."""

from functools import cache
from pathlib import Path
from typing import Any

import pytest

from services.api.app import build_routes
from tests.fuzz import fuzz, start_server


def test_no_case_of_some_hundreds_is_answered_against_the_document(tmp_path: Path) -> None:
    server = start_server(tmp_path / "data")
    # Enough for each operation, and the same ones in every run.
    try:
        found = fuzz(
            server.address,
            tmp_path,
            *("--phases", "examples,fuzzing"),
            *("--max-examples", "24", "--generation-deterministic"),
        )
    finally:
        server.stop()
    assert found.is_clean, found.report
    assert found.by_status.total() >= 500
    assert {status for status in found.by_status if status >= 500} == set()


@pytest.mark.parametrize(
    ("body", "is_found"),
    [
        ({"text": "cat", "image_id": ""}, False),
        ({"text": "cat", "filters": {"near": [], "since": " "}, "limit": ""}, False),
        ({"text": "cat", "filters": {"tags": [None, "red"]}, "weights": None}, False),
        ({"text": "cat", "image_id": "", "limit": 0}, True),
        ({"text": "cat", "image_id": "x"}, True),
        ({"text": "cat", "filters": {"near": {"lat": ""}}}, True),
        (["", None], True),
    ],
)
def test_a_search_is_accepted_in_spite_of_its_empty_fields_alone(
    body: Any, *, is_found: bool
) -> None:
    assert is_found_if_accepted("POST", "/v1/search", body=body) is is_found


@pytest.mark.parametrize(
    ("query", "is_found"),
    [
        ({"limit": ""}, False),
        ({"limit": "\x97", "status": "lost", "missing": ["tags"]}, False),
        ({"limit": "\x97", "min_score": "5"}, True),
        ({"limit": "\x97", "colour": "red"}, True),
        ({"limit": "0"}, True),
    ],
)
def test_a_read_is_accepted_in_spite_of_its_empty_parameters_alone(
    query: dict[str, Any], *, is_found: bool
) -> None:
    assert is_found_if_accepted("GET", "/v1/search", query={"q": "cat", **query}) is is_found
    assert is_found_if_accepted("GET", "/v1/search", query=query)


def is_found_if_accepted(method: str, path: str, **given: Any) -> bool:
    """Whether a run calls it a mistake that such a request, drawn as a wrong one, was accepted."""
    # Imported here: it takes every process that collects this file seconds.
    from schemathesis.core.failures import AcceptedNegativeData

    from tests.fuzz_hooks import filter_failure

    operation = documented()[path][method]
    failure = AcceptedNegativeData(
        operation="", message="", status_code=200, expected_statuses=["422"]
    )
    none: Any = None
    return bool(filter_failure(none, failure, operation.Case(**given), none))


@cache
def documented() -> Any:
    """The operations of the document."""
    import schemathesis

    return schemathesis.openapi.from_dict(build_routes().openapi())
