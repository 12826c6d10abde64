"""What a job waits for is said over HTTP, whoever it is that keeps it waiting."""

from collections.abc import Iterator

import pytest
from fastapi.testclient import TestClient

from petsearch.cli.jobs import reason_printer
from petsearch.domain.errors import Conflict
from services.worker.runtime import build_runtime
from tests import pictures
from tests.services.keyed_app import KeyedApp, keyed_app
from tests.waiting import wait_until


@pytest.fixture(scope="module")
def keyed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KeyedApp]:
    with keyed_app(tmp_path_factory.mktemp("waiting"), lease_s=0.6) as opened:
        yield opened


def test_a_job_says_that_no_worker_is_there_and_then_what_the_worker_waits_for(
    keyed: KeyedApp,
) -> None:
    client = keyed.client(keyed.app(allow_no_keys=True))
    files = {"photos": ("a.jpg", pictures.jpeg(1))}
    job_id = client.post("/v1/images", files=files).json()["job_id"]
    assert "No worker" in _reason(client, job_id)
    runtime = build_runtime(keyed.services)
    assert not _reason(client, job_id)
    # As a worker's start does while the embedder lacks the model of the index.
    runtime.breaker.wait(Conflict("The model is not loaded."), give_up=lambda: True)
    wait_until(lambda: _reason(client, job_id) == "The model is not loaded.")
    assert client.get(f"/v1/jobs/{job_id}").json()["state"] == "queued"
    runtime.breaker.record_success()
    wait_until(lambda: not _reason(client, job_id))


def _reason(client: TestClient, job_id: str) -> str:
    return client.get(f"/v1/jobs/{job_id}").json()["reason"] or ""


def test_without_a_terminal_a_reason_is_printed_once(capsys: pytest.CaptureFixture[str]) -> None:
    say = reason_printer()
    for reason in (None, "Redis is full.", "Redis is full.", None, "Redis is full."):
        say({"job_id": "j-1", "finished_at": None, "reason": reason})
    say({"job_id": "j-1", "finished_at": "2026-01-01T00:00:00Z", "reason": "It failed."})
    printed = capsys.readouterr().err
    assert printed.splitlines() == ["Job j-1: Redis is full."] * 2
