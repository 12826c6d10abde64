"""The API against its own OpenAPI document; `make fuzz` tries far more cases."""

from pathlib import Path

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
