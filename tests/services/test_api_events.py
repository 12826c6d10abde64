"""Who may watch a job, until when, and by what ticket."""

import json
from collections.abc import Iterator

import httpx
import pytest
from fastapi import FastAPI

from petsearch.domain.api_keys import Scope
from tests.app_server import served_app
from tests.services.keyed_app import KeyedApp, keyed_app


@pytest.fixture(scope="module")
def keyed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KeyedApp]:
    with keyed_app(tmp_path_factory.mktemp("keyed")) as opened:
        yield opened


@pytest.fixture
def app(keyed: KeyedApp) -> FastAPI:
    return keyed.app()


def open_job(keyed: KeyedApp, app: FastAPI, key: str) -> str:
    """The path of a job that goes on until it is sealed."""
    job_id = keyed.client(app, key).post("/v1/jobs", json={}).json()["job_id"]
    return f"/v1/jobs/{job_id}"


def test_a_stream_ends_soon_after_its_key_is_revoked(keyed: KeyedApp, app: FastAPI) -> None:
    key = keyed.make_key(Scope.INGEST)
    job = open_job(keyed, app, key)
    headers = {"Authorization": f"Bearer {key}"}
    with (
        served_app(app) as url,
        httpx.stream("GET", url + job + "/events", headers=headers, timeout=20) as stream,
    ):
        lines = stream.iter_lines()
        assert next(lines) == "event: job"
        keyed.revoke(key)
        list(lines)  # it ends; the next ping, which would keep it open, comes after 15 s
        assert httpx.get(url + job, headers=headers).status_code == 401


def test_a_stream_ends_when_its_session_is_closed(keyed: KeyedApp, app: FastAPI) -> None:
    key = keyed.make_key(Scope.INGEST)
    job = open_job(keyed, app, key)
    with served_app(app) as url, httpx.Client(base_url=url, timeout=20) as page:
        page.headers["Host"] = "127.0.0.1"
        page.post("/v1/session", json={"api_key": key})
        with page.stream("GET", job + "/events") as stream:
            lines = stream.iter_lines()
            assert next(lines) == "event: job"
            page.delete("/v1/session")
            list(lines)


def test_whoever_has_seen_the_end_need_not_ask_again(keyed: KeyedApp, app: FastAPI) -> None:
    key = keyed.make_key(Scope.INGEST)
    client = keyed.client(app, key)
    job = open_job(keyed, app, key)
    client.post(f"{job}/cancel")
    told = client.get(f"{job}/events").text
    (version,) = (line.removeprefix("id: ") for line in told.splitlines() if line[:3] == "id:")
    again = client.get(f"{job}/events", headers={"Last-Event-ID": version})
    assert (again.status_code, again.content) == (204, b"")
    assert client.get(f"{job}/events", params={"lastEventId": version}).status_code == 204
    before = client.get(f"{job}/events", headers={"Last-Event-ID": str(int(version) - 1)})
    assert before.status_code == 200


def test_a_ticket_opens_the_events_of_its_job_alone(keyed: KeyedApp, app: FastAPI) -> None:
    key = keyed.make_key(Scope.INGEST)
    job, other = open_job(keyed, app, key), open_job(keyed, app, key)
    made = keyed.client(app, key).post(f"{job}/events/ticket")
    assert made.status_code == 201
    ticket = made.json()["ticket"]
    assert made.json()["url"] == f"{job}/events?ticket={ticket}"
    assert made.json()["expires_in_s"] == 300
    keyed.client(app, key).post(f"{job}/cancel")
    visitor = keyed.client(app)
    for _ in range(2):
        events = visitor.get(made.json()["url"])
        assert events.status_code == 200
        data = next(line for line in events.text.splitlines() if line.startswith("data: "))
        assert json.loads(data.removeprefix("data: "))["state"] == "cancelled"
    assert visitor.get(f"{other}/events?ticket={ticket}").status_code == 401
    assert visitor.get(f"{job}/items?ticket={ticket}").status_code in (401, 422)
    for token in (ticket, f"{job}/events {ticket}"):
        as_session = {"Cookie": f"petsearch_session={token}"}
        assert keyed.client(app).get("/v1/jobs", headers=as_session).status_code == 401
    as_bearer = {"Authorization": f"Bearer {ticket}"}
    assert keyed.client(app).get("/v1/jobs", headers=as_bearer).status_code == 401


def test_a_ticket_ends_with_its_key(keyed: KeyedApp, app: FastAPI) -> None:
    key = keyed.make_key(Scope.INGEST)
    job = open_job(keyed, app, key)
    made = keyed.client(app, key).post(f"{job}/events/ticket").json()
    with (
        served_app(app) as url,
        httpx.stream("GET", url + made["url"], timeout=20) as stream,
    ):
        lines = stream.iter_lines()
        assert next(lines) == "event: job"
        keyed.revoke(key)
        list(lines)
        assert httpx.get(url + made["url"]).status_code == 401


def test_who_may_not_watch_gets_no_ticket(keyed: KeyedApp, app: FastAPI) -> None:
    maker = keyed.client(app, key := keyed.make_key(Scope.INGEST))
    searcher = keyed.client(app, keyed.make_key(Scope.SEARCH))
    job = open_job(keyed, app, key)
    assert searcher.post(f"{job}/events/ticket").status_code == 403
    assert keyed.client(app).post(f"{job}/events/ticket").status_code == 401
    assert maker.post("/v1/jobs/nope/events/ticket").status_code == 404
