"""Every route and every kind of caller, against the table. The app is asked which routes it has."""

import re
import uuid
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi import WebSocket
from fastapi.testclient import TestClient
from starlette.websockets import WebSocketDisconnect

from petsearch.domain.api_keys import Scope, make_key
from services.api.app import deadlines_of
from services.api.authorisation import ROUTES, Access, AccessTable
from services.api.metrics import ApiMetrics
from services.http.metrics_route import add_metrics_route
from tests.services.keyed_app import ADDRESS, START, KeyedApp, keyed_app

UNAUTHORIZED, FORBIDDEN = 401, 403
BAD_KEYS = ("none", "revoked", "expired", "secret of another", "unknown", "no key at all")
WEB_DIR = Path(__file__).parents[2] / "web"


@pytest.fixture(scope="module")
def keyed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KeyedApp]:
    with keyed_app(tmp_path_factory.mktemp("keyed")) as opened:
        yield opened


def routes_of(routes: Iterable[Any]) -> Iterator[str]:
    """`METHOD /path/{template}` of every route, those of included routers too."""
    for route in routes:
        if hasattr(route, "effective_candidates"):
            yield from routes_of(route.effective_candidates())
            yield from routes_of(route.effective_low_priority_routes())
            continue
        for method in getattr(route, "methods", None) or ():
            if method != "HEAD":
                yield f"{method} {route.path}"


def call(client: TestClient, route: str) -> int:
    """The status of a request to `route`, whose names stand for things that do not exist."""
    method, template = route.split()
    path = re.sub(r"\{[^}]+\}", str(uuid.uuid4()), template)
    return client.request(method, path).status_code


def test_no_route_was_forgotten(keyed: KeyedApp) -> None:
    found = set(routes_of(keyed.app().routes))
    assert len(found) > 25
    assert "POST /v1/jobs/{job_id}/photos" in found
    assert found - set(ROUTES) == set(), "write them into services/api/authorisation.py"


def test_a_route_that_is_not_in_the_table_is_for_admins(keyed: KeyedApp) -> None:
    app = keyed.app()

    @app.get("/v1/forgotten")
    def forgotten() -> str:
        return "here"

    assert set(routes_of(app.routes)) - set(ROUTES) == {"GET /v1/forgotten"}
    everything_else = keyed.make_key(Scope.SEARCH, Scope.INGEST, Scope.DELETE)
    assert keyed.client(app).get("/v1/forgotten").status_code == UNAUTHORIZED
    assert keyed.client(app, everything_else).get("/v1/forgotten").status_code == FORBIDDEN
    admin = keyed.make_key(Scope.ADMIN)
    assert keyed.client(app, admin).get("/v1/forgotten").json() == "here"


@pytest.mark.parametrize("prefix", ["/js", "/v1", "/search", "/livez"])
def test_the_route_that_runs_is_the_one_that_was_looked_up(keyed: KeyedApp, prefix: str) -> None:
    """A prefix is taken off a path once: none makes a route out of an address that anybody may
    ask for."""
    app = keyed.app(trusted_proxies=[f"{ADDRESS}/32"], web_dir=WEB_DIR, anonymous_search=True)
    keyed.make_key(Scope.ADMIN)
    visitor = keyed.client(app)
    for route in ROUTES:
        method, template = route.split()
        path = re.sub(r"\{[^}]+\}", str(uuid.uuid4()), template)
        made_up = {"X-Forwarded-Prefix": prefix}
        for times in (2, 3):
            found = visitor.request(method, times * prefix + path, headers=made_up)
            plain = visitor.request(method, (times - 1) * prefix + path)
            assert found.status_code == plain.status_code, found.text
        stripped = visitor.request(method, prefix + path, headers=made_up)
        assert stripped.status_code == visitor.request(method, path).status_code


@pytest.mark.parametrize("scope", Scope)
def test_a_key_opens_what_its_scope_says_and_nothing_else(keyed: KeyedApp, scope: Scope) -> None:
    app = keyed.app()
    client = keyed.client(app, keyed.make_key(scope))
    for route in routes_of(app.routes):
        needed = ROUTES[route].scope
        is_open = needed is None or scope in (needed, Scope.ADMIN)
        status = call(client, route)
        assert (status not in (UNAUTHORIZED, FORBIDDEN)) == is_open, (route, status)
        assert is_open or status == FORBIDDEN, (route, status)


def bad_keys(keyed: KeyedApp) -> dict[str, str]:
    revoked, good = keyed.make_key(Scope.ADMIN), keyed.make_key(Scope.ADMIN)
    keyed.revoke(revoked)
    expired = make_key("old", [Scope.ADMIN], START.replace(year=2020), expires_at=START)
    keyed.store.add(expired.kept)
    return {
        "none": "",
        "revoked": revoked,
        "expired": expired.secret,
        "secret of another": good[:16] + make_key("x", [Scope.ADMIN], START).secret[16:],
        "unknown": make_key("x", [Scope.ADMIN], START).secret,
        "no key at all": "hunter2",
    }


@pytest.mark.parametrize("kind", BAD_KEYS)
def test_without_a_valid_key_only_what_is_public_is_open(keyed: KeyedApp, kind: str) -> None:
    client = keyed.client(app := keyed.app(), bad_keys(keyed)[kind])
    for route in routes_of(app.routes):
        is_refused = call(client, route) == UNAUTHORIZED
        assert is_refused == (ROUTES[route] is not Access.PUBLIC), route


def test_anonymous_search_opens_searching_and_its_pictures_alone(keyed: KeyedApp) -> None:
    keyed.make_key(Scope.ADMIN)
    client = keyed.client(app := keyed.app(anonymous_search=True))
    for route in routes_of(app.routes):
        is_open = ROUTES[route] in (Access.PUBLIC, Access.OPEN_SEARCH)
        assert (call(client, route) != UNAUTHORIZED) == is_open, route
    # Searches, and what a page of results shows; never a photo as it was sent.
    assert {route for route, access in ROUTES.items() if access is Access.OPEN_SEARCH} == {
        "GET /search",
        "GET /images/{filename:path}",
        "GET /v1/search",
        "POST /v1/search",
        "POST /v1/search/image",
        "POST /v1/shared-searches",
        "GET /v1/shared-searches/{share_id}",
        "GET /v1/shared-searches/{share_id}/photo",
        "DELETE /v1/shared-searches/{share_id}",
        "GET /v1/facets",
        "GET /v1/stats",
        "GET /v1/images",
        "GET /v1/images/ids",
        "GET /v1/images/{image_id}",
        "GET /v1/images/{image_id}/similar",
        "GET /v1/images/{image_id}/display",
        "GET /v1/images/{image_id}/thumbnail",
    }
    wrong = keyed.client(app, "ps_wrong")
    assert wrong.get("/v1/stats").status_code == UNAUTHORIZED


def test_no_keys_and_no_word_about_it_opens_nothing_but_loopback(
    tmp_path: Path,
) -> None:
    with keyed_app(tmp_path) as keyed:
        assert keyed.client(keyed.app()).get("/v1/stats").status_code == UNAUTHORIZED
        waived = keyed.app(allow_no_keys=True)
        on_loopback = keyed.app(is_on_loopback=True)
        for app in (waived, on_loopback):
            statuses = {route: call(keyed.client(app), route) for route in routes_of(app.routes)}
            assert not {UNAUTHORIZED, FORBIDDEN} & set(statuses.values())
        key = keyed.client(on_loopback).post("/v1/keys", json={"name": "a", "scopes": ["admin"]})
        assert keyed.client(on_loopback).get("/v1/stats").status_code == UNAUTHORIZED
        admin = keyed.client(on_loopback, key.json()["secret"])
        assert admin.get("/v1/stats").status_code == 200
        # The last key taken away does not open the door again.
        assert admin.delete(f"/v1/keys/{key.json()['key']['key_id']}").status_code == 204
        assert admin.get("/v1/stats").status_code == UNAUTHORIZED
        assert keyed.client(on_loopback).get("/v1/stats").status_code == UNAUTHORIZED
        assert keyed.client(waived).get("/v1/stats").status_code == 200


def test_a_scope_that_is_named_twice_counts_once(keyed: KeyedApp) -> None:
    admin = keyed.client(app := keyed.app(), keyed.make_key(Scope.ADMIN))
    made = admin.post("/v1/keys", json={"name": "twice", "scopes": ["search", "search"]})
    assert made.json()["key"]["scopes"] == ["search"]
    # The document allows it, too.
    scopes = app.openapi()["components"]["schemas"]["KeyRequest"]["properties"]["scopes"]
    assert "uniqueItems" not in scopes


def test_metrics_among_the_routes_are_for_admins(keyed: KeyedApp) -> None:
    app, metrics = keyed.app(anonymous_search=True), ApiMetrics()
    metrics.answered("GET", "/v1/stats", 200, 0.1)
    add_metrics_route(app, metrics)
    everything_else = keyed.make_key(Scope.SEARCH, Scope.INGEST, Scope.DELETE)
    assert keyed.client(app).get("/metrics").status_code == UNAUTHORIZED
    assert keyed.client(app, everything_else).get("/metrics").status_code == FORBIDDEN
    told = keyed.client(app, keyed.make_key(Scope.ADMIN)).get("/metrics")
    assert 'route="/v1/stats"' in told.text
    # Nothing between here and Prometheus keeps it.
    assert told.headers["cache-control"] == "no-store"


def test_requests_through_a_trusted_proxy_are_counted_by_their_route(keyed: KeyedApp) -> None:
    metrics = ApiMetrics()
    app = keyed.app(anonymous_search=True, trusted_proxies=["10.1.0.0/16"], metrics=metrics)
    proxy = keyed.client(app, address="10.1.0.1")
    assert proxy.get("/v1/stats").status_code == 200
    prefixed = {"X-Forwarded-Prefix": "/pets"}
    assert proxy.get("/pets/v1/stats", headers=prefixed).status_code == 200
    assert proxy.get("/v1/jobs").status_code == UNAUTHORIZED
    counted = {
        (sample.labels["route"], sample.labels["status"]): sample.value
        for metric in metrics.registry.collect()
        for sample in metric.samples
        if sample.name == "petsearch_http_requests_total"
    }
    assert counted == {("/v1/stats", "200"): 2, ("none", "401"): 1}


def test_an_upload_without_a_key_is_refused_before_its_body_is_read(keyed: KeyedApp) -> None:
    read: list[int] = []

    def body() -> Iterator[bytes]:
        read.append(1)
        yield b"x"

    app = keyed.app()
    answer = keyed.client(app).post("/v1/images", content=body())
    assert answer.status_code == UNAUTHORIZED
    assert read == []
    assert answer.headers["www-authenticate"].startswith("Bearer")
    assert answer.headers["content-type"] == "application/problem+json"


def test_data_sets_of_the_hub_take_an_admin(keyed: KeyedApp) -> None:
    app = keyed.app()
    source = {"source": {"type": "dataset", "name": "someone/some-pets"}}
    ingest = keyed.client(app, keyed.make_key(Scope.INGEST)).post("/v1/jobs", json=source)
    assert ingest.status_code == FORBIDDEN
    assert "admin" in ingest.json()["detail"]
    folder = {"source": {"type": "dataset", "name": "/somewhere/pets"}}
    other = keyed.client(app, keyed.make_key(Scope.INGEST)).post("/v1/jobs", json=folder)
    assert other.status_code == 422


def test_the_page_is_open_and_nothing_beside_its_files(keyed: KeyedApp, tmp_path: Path) -> None:
    (tmp_path / "js").mkdir()
    (tmp_path / "index.html").write_text("page")
    (tmp_path / "js" / "main.js").write_text("code")
    (tmp_path / ".secret").write_text("no")
    client = keyed.client(keyed.app(web_dir=tmp_path))
    for path in ("/", "/index.html", "/js/main.js"):
        assert client.get(path).status_code == 200, path
    for path in ("/.secret", "/js/.git", "/other", "/v1/other", "/jsx"):
        assert client.get(path).status_code == UNAUTHORIZED, path


def test_head_is_judged_as_get() -> None:
    table = AccessTable(web_dir=WEB_DIR)
    assert table.access("HEAD", "/v1/stats") is Access.OPEN_SEARCH
    assert table.access("GET", "/v1/images/a/b/original") is Access.ADMIN
    assert table.access("PUT", "/v1/stats") is Access.ADMIN


@pytest.mark.parametrize(
    ("path", "seconds"),
    [("/", None), ("/js/main.js", None), ("/livez", None), ("/v1/stats", 5.0), ("/v1/other", 5.0)],
)
def test_files_of_the_page_and_probes_have_no_deadline(path: str, seconds: float | None) -> None:
    """A page that lacks one of its modules stays empty."""
    seconds_of = deadlines_of(AccessTable(web_dir=WEB_DIR), 5.0)
    assert seconds_of({"method": "GET", "path": path}) == seconds


def test_answers_that_took_a_key_are_not_for_shared_caches(keyed: KeyedApp) -> None:
    key = keyed.make_key(Scope.SEARCH)
    closed = keyed.client(keyed.app(), key).get("/v1/stats").headers
    assert closed["cache-control"] == "no-store"
    assert {"Authorization", "Cookie"} <= set(closed["vary"].split(", "))
    app = keyed.app(anonymous_search=True)
    # What a key sees is more than what everybody does.
    assert keyed.client(app, key).get("/v1/stats").headers["cache-control"] == "no-store"
    assert keyed.client(app).get("/v1/stats").headers["cache-control"] == "no-cache"


def test_answers_name_what_they_differ_by_also_where_they_are_open(keyed: KeyedApp) -> None:
    """A cache in front would give a visitor's answer to somebody with a key, or a page its own."""
    app = keyed.app(anonymous_search=True)
    image = f"/v1/images/{uuid.uuid4()}"
    for client in (keyed.client(app), keyed.client(app, keyed.make_key(Scope.SEARCH))):
        for path in ("/v1/images", "/v1/stats", "/v1/search?q=pet", image):
            assert client.get(path).headers["vary"] == "Authorization, Cookie", path
        # The same bytes for everybody.
        for path in (f"{image}/display", f"{image}/thumbnail"):
            assert "vary" not in client.get(path).headers, path


def test_a_web_socket_is_closed(keyed: KeyedApp) -> None:
    app = keyed.app(is_on_loopback=True)

    @app.websocket("/v1/socket")
    async def socket(websocket: WebSocket) -> None:
        await websocket.accept()

    client = keyed.client(app, keyed.make_key(Scope.ADMIN))
    with pytest.raises(WebSocketDisconnect) as closed, client.websocket_connect("/v1/socket"):
        pass
    assert closed.value.code == 1008
