"""Probes: any Host is answered, details are for callers with a key, and nothing waits for them."""

import socket
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest

from petsearch.domain.api_keys import Scope
from tests.app_server import served_app
from tests.services.keyed_app import KeyedApp, keyed_app

PROBES = ("/livez", "/readyz")


@pytest.fixture(scope="module")
def keyed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KeyedApp]:
    with keyed_app(tmp_path_factory.mktemp("keyed")) as opened:
        yield opened


@pytest.mark.parametrize("path", PROBES)
@pytest.mark.parametrize("host", ["10.1.2.3:8000", "pod-7.pets", "", "evil.example"])
def test_a_probe_answers_any_host_with_its_status_alone(
    keyed: KeyedApp, path: str, host: str
) -> None:
    answer = keyed.client(keyed.app()).get(path, headers={"Host": host})
    assert (answer.status_code, answer.json()["status"]) == (200, "ok")
    assert not answer.json().get("checks")


@pytest.mark.parametrize("path", ["/v1/stats", "/", "/openapi.json", "/livez/", "/readyz/x"])
def test_all_else_is_served_by_allowed_hosts_alone(keyed: KeyedApp, path: str) -> None:
    client = keyed.client(keyed.app())
    assert client.get(path, headers={"Host": "10.1.2.3:8000"}).status_code == 421


def test_which_part_is_wrong_is_told_to_callers_with_a_key(keyed: KeyedApp) -> None:
    app, key = keyed.app(), keyed.make_key(Scope.SEARCH)
    assert not keyed.client(app).get("/readyz").json()["checks"]
    assert not keyed.client(app, "ps_wrong_key").get("/readyz").json()["checks"]
    told = keyed.client(app, key).get("/readyz").json()["checks"]
    assert set(told) == {"index", "store", "redis", "embedder", "disk"}
    signed_in = keyed.client(app)
    signed_in.post("/v1/session", json={"api_key": key})
    assert signed_in.get("/readyz").json()["checks"] == told
    elsewhere = keyed.client(app, key).get("/readyz", headers={"Host": "evil.example"})
    assert not elsewhere.json()["checks"]


@pytest.mark.parametrize(("version", "status"), [("1.0", 200), ("1.1", 421)])
def test_a_host_may_be_missing_in_http_1_0_alone(
    keyed: KeyedApp, version: str, status: int
) -> None:
    with served_app(keyed.app(anonymous_search=True)) as url:
        assert raw(url, f"GET /v1/stats HTTP/{version}\r\nConnection: close\r\n\r\n")[0] == status


def test_an_answer_to_http_1_0_has_no_chunks(keyed: KeyedApp) -> None:
    key = keyed.make_key(Scope.INGEST)
    app = keyed.app()
    job_id = keyed.client(app, key).post("/v1/jobs", json={}).json()["job_id"]
    asked = f"GET /v1/jobs/{job_id}/events HTTP/1.0\r\nAuthorization: Bearer {key}\r\n\r\n"
    with served_app(app) as url:
        status, head, body = raw(url, asked)
    assert status == 200
    assert "transfer-encoding" not in head.lower()
    assert f"content-length: {len(body)}" in head.lower()
    assert body.startswith(b"event: job\n")


def raw(url: str, request: str) -> tuple[int, str, bytes]:
    """Status, headers and body of the answer to a request as it is written, until its end."""
    parts = urlsplit(url)
    with socket.create_connection((parts.hostname, parts.port), 20) as connection:
        connection.sendall(request.encode())
        answer = b"".join(iter(lambda: connection.recv(65536), b""))
    head, _, body = answer.partition(b"\r\n\r\n")
    return int(head.split()[1]), head.decode(), body
