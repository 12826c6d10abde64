"""Calls with an Idempotency-Key: repeated, they are answered once more and done once."""

import threading
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import numpy as np
import pytest
from fastapi.testclient import TestClient

from petsearch.client import Client
from petsearch.domain import Point
from petsearch.domain.api_keys import Scope
from petsearch.domain.errors import Conflict
from petsearch.ports import CallKey
from services.api.idempotency import Once
from services.api.schemas.jobs import JobBody
from tests import pictures
from tests.contract.records import record
from tests.services.keyed_app import KeyedApp, keyed_app

Http = httpx.Client | TestClient
Send = Callable[[Http, str | None, int], Any]
Add = Callable[[Http, str, str, int], Any]
"""Return the response of either client: they are of two libraries with the same methods."""


def open_job(http: Http, key: str | None, what: int) -> Any:
    return http.post("/v1/jobs", json={"source": f"job {what}"}, headers=with_key(key))


def upload_photos(http: Http, key: str | None, what: int) -> Any:
    files = {"photos": ("a.jpg", pictures.jpeg(70_000 + what))}
    return http.post("/v1/images", files=files, headers=with_key(key))


def upload_manifest(http: Http, key: str | None, what: int) -> Any:
    files = {"file": ("m.csv", f"url,breed\nhttp://example.org/{what}.jpg,cat\n".encode())}
    data = {"kind": "manifest"}
    return http.post("/v1/jobs/upload", files=files, data=data, headers=with_key(key))


def new_job(http: Http) -> str:
    job_id: str = http.post("/v1/jobs", json={"source": "test"}).json()["job_id"]
    return job_id


def with_key(key: str | None) -> dict[str, str]:
    return {"Idempotency-Key": key} if key else {}


def add_photo(http: Http, job_id: str, key: str, what: int) -> Any:
    files = {"photos": (f"{what}.jpg", pictures.jpeg(70_100 + what))}
    return http.post(f"/v1/jobs/{job_id}/photos", files=files, headers=with_key(key))


def add_known(http: Http, job_id: str, key: str, what: int) -> Any:
    known = {"sha256": record(0).sha256, "metadata": {"breed": f"breed {what}"}}
    url = f"/v1/jobs/{job_id}/known"
    return http.post(url, json={"items": [known]}, headers=with_key(key))


every_addition = pytest.mark.parametrize("add", [add_photo, add_known])
every_call = pytest.mark.parametrize("send", [open_job, upload_photos, upload_manifest])


@pytest.fixture(scope="module")
def keyed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KeyedApp]:
    with keyed_app(tmp_path_factory.mktemp("keyed")) as opened:
        target = opened.services.parts.catalogue.current()
        known = Point(record(0), np.eye(1, target.model.dim, dtype=np.float32)[0])
        opened.services.storage.index.insert(target.collection, [known])
        yield opened


@every_call
def test_a_repeated_call_gets_the_same_answer(http: httpx.Client, send: Send) -> None:
    key = uuid.uuid4().hex
    first, second = send(http, key, 1), send(http, key, 1)
    assert (first.status_code, second.status_code) == (202, 202), first.text
    assert second.json() == first.json()
    assert second.headers["location"] == first.headers["location"]


@every_call
def test_a_key_belongs_to_one_request(http: httpx.Client, send: Send) -> None:
    key = uuid.uuid4().hex
    assert send(http, key, 1).status_code == 202
    other = send(http, key, 2)
    assert other.status_code == 422
    assert "Idempotency-Key" in other.json()["detail"]


@every_call
def test_without_a_key_every_call_counts(http: httpx.Client, send: Send) -> None:
    ids = {send(http, None, 1).json()["job_id"] for _ in range(2)}
    assert len(ids) == 2


@every_call
def test_another_caller_with_the_same_key_gets_an_answer_of_its_own(
    keyed: KeyedApp, send: Send
) -> None:
    app, key = keyed.app(), uuid.uuid4().hex
    mine, theirs = (keyed.client(app, keyed.make_key(Scope.INGEST)) for _ in range(2))
    first = send(mine, key, 1).json()["job_id"]
    assert send(theirs, key, 1).json()["job_id"] != first
    assert send(mine, key, 1).json()["job_id"] == first


@every_addition
def test_an_addition_of_another_caller_with_the_same_key_counts(keyed: KeyedApp, add: Add) -> None:
    app, key = keyed.app(), uuid.uuid4().hex
    mine, theirs = (keyed.client(app, keyed.make_key(Scope.INGEST)) for _ in range(2))
    job_id = new_job(mine)
    for caller, what in ((mine, 1), (theirs, 2), (theirs, 2), (mine, 1)):
        assert add(caller, job_id, key, what).is_success
    assert mine.get(f"/v1/jobs/{job_id}").json()["total"] == 2


@every_addition
def test_an_addition_of_something_else_with_the_same_key_is_rejected(
    keyed: KeyedApp, add: Add
) -> None:
    caller, key = keyed.client(keyed.app(), keyed.make_key(Scope.INGEST)), uuid.uuid4().hex
    job_id = new_job(caller)
    assert add(caller, job_id, key, 1).is_success
    other = add(caller, job_id, key, 2)
    assert other.status_code == 422
    assert "Idempotency-Key" in other.json()["detail"]
    assert caller.get(f"/v1/jobs/{job_id}").json()["total"] == 1


def test_one_key_may_be_used_for_several_routes_and_jobs(keyed: KeyedApp) -> None:
    caller, key = keyed.client(keyed.app(), keyed.make_key(Scope.INGEST)), uuid.uuid4().hex
    for job_id in (new_job(caller), new_job(caller)):
        for add in (add_photo, add_known):
            assert add(caller, job_id, key, 1).is_success
        assert caller.get(f"/v1/jobs/{job_id}").json()["total"] == 2


def test_a_call_is_held_for_as_long_as_it_runs(
    keyed: KeyedApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger, is_extended = keyed.services.storage.ledger, threading.Event()
    extend_call = ledger.extend_call

    def extend(call: CallKey, holder: str, for_s: float) -> bool:
        if extend_call(call, holder, for_s):
            is_extended.set()
        return True

    monkeypatch.setattr(ledger, "extend_call", extend)
    once = Once(ledger, "test", uuid.uuid4().hex, lease_s=3.0)
    job = JobBody.of(keyed.services.jobs.open("test"))

    def answer_late() -> JobBody:
        assert is_extended.wait(30)
        with pytest.raises(Conflict):
            once.run(lambda: pytest.fail("The call was run twice."))
        return job

    assert once.run(answer_late) == job
    assert once.run(lambda: pytest.fail("The call was run twice.")) == job


def test_a_call_that_found_no_thread_is_repeated_under_its_key(
    keyed: KeyedApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    once = Once(keyed.services.storage.ledger, "test", uuid.uuid4().hex, lease_s=30.0)
    job = JobBody.of(keyed.services.jobs.open("test"))
    with monkeypatch.context() as limited, pytest.raises(RuntimeError):
        limited.setattr(threading.Thread, "start", fail)
        once.run(lambda: job)
    assert once.run(lambda: job) == job


def test_a_refused_call_may_be_mended_under_its_key(http: httpx.Client) -> None:
    key = with_key(uuid.uuid4().hex)
    forbidden = {"source": {"type": "archive", "path": "/etc/passwd"}}
    assert http.post("/v1/jobs", json=forbidden, headers=key).status_code == 422
    assert http.post("/v1/jobs", json={"source": "test"}, headers=key).status_code == 202


def test_of_calls_at_the_same_time_one_is_done(client: Client, server_url: str) -> None:
    key = uuid.uuid4().hex

    def send(_: int) -> httpx.Response:
        with httpx.Client(base_url=server_url, timeout=30) as own:
            return own.post("/v1/jobs", json={"source": key}, headers=with_key(key))

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(send, range(16)))
    assert {answer.status_code for answer in answers} <= {202, 409}
    assert len({a.json()["job_id"] for a in answers if a.status_code == 202}) == 1
    assert [job["source"] for job in client.jobs(100)].count(key) == 1
