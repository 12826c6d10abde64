"""The page's cookie, other sites' pages, and headers that depend on how the server is reached."""

import json
import time
from collections.abc import Iterator
from datetime import timedelta

import httpx
import pytest

from petsearch.access.key_ring import FRESH_S
from petsearch.domain.api_keys import Scope
from petsearch.domain.errors import ConfigurationError
from petsearch.settings import Settings
from services.http.middleware import HSTS
from services.http.protocol import BoundedProtocol
from tests import pictures
from tests.app_server import served_app
from tests.services.keyed_app import START, KeyedApp, keyed_app
from tests.waiting import wait_until

STATS = "/v1/stats"
PAGE = "https://app.example"


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KeyedApp]:
    with keyed_app(tmp_path_factory.mktemp("keyed")) as opened:
        yield opened


@pytest.fixture
def keyed(opened: KeyedApp) -> KeyedApp:
    opened.clock.now = START
    return opened


def test_a_key_is_traded_for_a_cookie_that_scripts_cannot_read(keyed: KeyedApp) -> None:
    key = keyed.make_key(Scope.SEARCH)
    client = keyed.client(keyed.app())
    assert client.get(STATS).status_code == 401
    signed_in = client.post("/v1/session", json={"api_key": key})
    assert signed_in.status_code == 200
    assert signed_in.headers["cache-control"] == "no-store"
    assert signed_in.json()["scopes"] == ["search"]
    cookie = signed_in.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=strict" in cookie
    assert "Secure" not in cookie
    assert key.split("_", 2)[2] not in cookie
    assert client.get(STATS).status_code == 200
    assert client.get("/v1/session").json()["key_id"] == key.split("_")[1]
    # The cookie is good for what the key is good for.
    assert client.get("/v1/jobs").status_code == 403


def test_over_tls_the_cookie_is_secure(keyed: KeyedApp) -> None:
    body = {"api_key": keyed.make_key(Scope.SEARCH)}
    own = keyed.client(keyed.app(), scheme="https").post("/v1/session", json=body)
    assert "Secure" in own.headers["set-cookie"]
    assert own.headers["strict-transport-security"] == "max-age=31536000"
    behind = keyed.client(keyed.app(trusted_proxies=["10.0.0.0/8"]), address="10.0.0.1")
    said = {"X-Forwarded-Proto": "https", "X-Forwarded-For": "192.0.2.1"}
    assert "Secure" in behind.post("/v1/session", json=body, headers=said).headers["set-cookie"]
    plain = keyed.client(keyed.app()).get("/livez", headers=said)
    assert "strict-transport-security" not in plain.headers


def test_signing_out_ends_the_session_on_the_server(keyed: KeyedApp) -> None:
    app = keyed.app()
    client = keyed.client(app)
    client.post("/v1/session", json={"api_key": keyed.make_key(Scope.SEARCH)})
    copied = {"Cookie": f"petsearch_session={client.cookies['petsearch_session']}"}
    assert keyed.client(app).get(STATS, headers=copied).status_code == 200
    assert client.delete("/v1/session").status_code == 204
    assert client.get(STATS).status_code == 401
    assert keyed.client(app).get(STATS, headers=copied).status_code == 401


def test_a_session_ends_with_its_key(keyed: KeyedApp) -> None:
    app, key, short = keyed.app(), keyed.make_key(Scope.SEARCH), keyed.make_key(Scope.ADMIN, days=1)
    client, other = keyed.client(app), keyed.client(app)
    client.post("/v1/session", json={"api_key": key})
    other.post("/v1/session", json={"api_key": short})
    assert (client.get(STATS).status_code, other.get(STATS).status_code) == (200, 200)
    assert other.delete(f"/v1/keys/{key.split('_')[1]}").status_code == 204
    assert client.get(STATS).status_code == 401
    keyed.clock.now += timedelta(days=1)
    assert other.get(STATS).status_code == 401


@pytest.mark.parametrize("cookie", ["petsearch_session=", "petsearch_session=x", "a=b; =", "\x01"])
def test_a_cookie_that_is_no_session_is_a_visitors(keyed: KeyedApp, cookie: str) -> None:
    headers = {"Cookie": cookie}
    assert keyed.client(keyed.app()).get(STATS, headers=headers).status_code == 401
    open_to_all = keyed.client(keyed.app(anonymous_search=True))
    assert open_to_all.get(STATS, headers=headers).status_code == 200


def test_a_wrong_key_opens_no_session(keyed: KeyedApp) -> None:
    key = keyed.make_key(Scope.ADMIN)
    keyed.revoke(key)
    answer = keyed.client(keyed.app()).post("/v1/session", json={"api_key": key})
    assert answer.status_code == 401
    assert "set-cookie" not in answer.headers
    assert key not in answer.text


def test_another_sites_page_may_neither_sign_in_nor_write_with_the_cookie(keyed: KeyedApp) -> None:
    client = keyed.client(keyed.app())
    key = {"api_key": keyed.make_key(Scope.ADMIN)}
    evil = {"Origin": "https://evil.example"}
    assert client.post("/v1/session", json=key, headers=evil).status_code == 403
    client.post("/v1/session", json=key)
    assert client.post("/v1/jobs", json={}, headers=evil).status_code == 403


def test_other_origins_are_closed_by_default(keyed: KeyedApp) -> None:
    client = keyed.client(keyed.app(), keyed.make_key(Scope.SEARCH))
    answer = client.get(STATS, headers={"Origin": PAGE})
    assert "access-control-allow-origin" not in answer.headers
    assert answer.headers["cross-origin-resource-policy"] == "same-origin"
    asked = {"Origin": PAGE, "Access-Control-Request-Method": "GET"}
    assert "access-control-allow-origin" not in client.options(STATS, headers=asked).headers


def test_a_named_origin_may_call_with_a_key_and_without_our_cookie(keyed: KeyedApp) -> None:
    app = keyed.app(cors_origins=[PAGE])
    client = keyed.client(app, keyed.make_key(Scope.SEARCH))
    asked = {
        "Origin": PAGE,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization,content-type",
    }
    preflight = keyed.client(app).options("/v1/search", headers=asked)
    assert preflight.status_code == 200
    assert preflight.headers["access-control-allow-origin"] == PAGE
    assert "access-control-allow-credentials" not in preflight.headers
    found = client.post("/v1/search", json={"text": "cat"}, headers={"Origin": PAGE})
    assert (found.status_code, found.headers["access-control-allow-origin"]) == (200, PAGE)
    assert found.headers["cross-origin-resource-policy"] == "cross-origin"
    refused = keyed.client(app).get(STATS, headers={"Origin": PAGE})
    assert (refused.status_code, refused.headers["access-control-allow-origin"]) == (401, PAGE)
    other = client.post("/v1/jobs", json={}, headers={"Origin": f"{PAGE}.evil"})
    assert other.status_code == 403


@pytest.mark.parametrize("allowed", [PAGE, "*"])
def test_a_named_origin_reads_every_refusal(keyed: KeyedApp, allowed: str) -> None:
    app = keyed.app(cors_origins=[allowed], trusted_proxies=["127.0.0.0/8"])
    headers = {"Origin": PAGE, "X-Forwarded-Proto": "https"}
    with (
        served_app(app, http=BoundedProtocol) as url,
        httpx.Client(base_url=url, headers=headers) as client,
    ):
        foreign = client.get(STATS, headers={"Host": "elsewhere.example"})
        room = app.state.full_rooms.room_of({"method": "GET", "path": STATS})
        wait_until(lambda: room.approaching == 0)
        while not room.is_full:  # as if as many requests as it holds were on their way to it
            room.approach()
        full = client.get(STATS)
        strange = client.get(STATS, headers={"Origin": f"{PAGE}.evil"})
    assert (foreign.status_code, full.status_code) == (421, 429)
    for refused in (foreign, full):
        assert refused.headers["access-control-allow-origin"] == allowed
        assert refused.headers["cross-origin-resource-policy"] == "cross-origin"
        assert refused.headers["strict-transport-security"] == HSTS
        assert refused.json()["request_id"] == refused.headers["x-request-id"]
    for name in ("access-control-expose-headers", "vary"):
        assert full.headers.get(name) == foreign.headers.get(name)
    assert full.headers["retry-after"] == "1"
    assert ("access-control-allow-origin" in strange.headers) == (allowed == "*")


@pytest.mark.parametrize("header", ["If-Match", "If-None-Match", "Last-Event-ID", "Range"])
def test_a_named_origin_may_send_what_calls_take(keyed: KeyedApp, header: str) -> None:
    client = keyed.client(keyed.app(cors_origins=[PAGE]))
    asked = {
        "Origin": PAGE,
        "Access-Control-Request-Method": "GET",
        "Access-Control-Request-Headers": f"authorization,idempotency-key,{header.lower()}",
    }
    assert client.options(STATS, headers=asked).status_code == 200


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PATCH", "DELETE"])
def test_a_named_origin_may_ask_in_every_method(keyed: KeyedApp, method: str) -> None:
    client = keyed.client(keyed.app(cors_origins=[PAGE]))
    asked = {
        "Origin": PAGE,
        "Access-Control-Request-Method": method,
        "Access-Control-Request-Headers": "authorization",
    }
    assert client.options(STATS, headers=asked).status_code == 200


def test_any_origin_may_read_and_none_may_write(keyed: KeyedApp) -> None:
    client = keyed.client(keyed.app(cors_origins=["*"]), keyed.make_key(Scope.ADMIN))
    assert client.get(STATS, headers={"Origin": PAGE}).headers["access-control-allow-origin"] == "*"
    refused = client.post("/v1/jobs", json={}, headers={"Origin": PAGE})
    assert (refused.status_code, refused.headers["access-control-allow-origin"]) == (403, "*")


def test_a_search_by_post_is_a_read(keyed: KeyedApp) -> None:
    client = keyed.client(keyed.app(cors_origins=["*"]), keyed.make_key(Scope.SEARCH))
    headers = {"Origin": PAGE}
    found = client.post("/v1/search", json={"text": "cat"}, headers=headers)
    assert (found.status_code, found.headers["access-control-allow-origin"]) == (200, "*")
    photo = {"photo": ("cat.jpg", pictures.jpeg(1), "image/jpeg")}
    assert client.post("/v1/search/image", files=photo, headers=headers).status_code == 200


@pytest.mark.parametrize("origin", ["app.example", f"{PAGE}/", f"{PAGE}/page", "https://*.example"])
def test_what_is_no_origin_is_refused_at_the_start(
    monkeypatch: pytest.MonkeyPatch, origin: str
) -> None:
    monkeypatch.setenv("PETSEARCH_CORS_ORIGINS", json.dumps([origin]))
    with pytest.raises(ConfigurationError, match=r"PETSEARCH_CORS_ORIGINS.*not an origin"):
        Settings.from_environment()


def test_a_key_revoked_by_another_process_is_refused_within_seconds(keyed: KeyedApp) -> None:
    key = keyed.make_key(Scope.SEARCH)
    client = keyed.client(keyed.app(), key)
    assert client.get(STATS).status_code == 200
    keyed.revoke(key)
    deadline = time.monotonic() + FRESH_S + 10
    while client.get(STATS).status_code == 200:
        assert time.monotonic() < deadline
    assert client.get(STATS).status_code == 401
