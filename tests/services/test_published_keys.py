"""Keys of origins, which stand in pages of other sites: they search from there, and do no more."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from petsearch.domain.api_keys import Scope, make_key
from petsearch.domain.errors import InvalidInput
from services.api.authorisation import ROUTES, Access
from tests.services.house import open_house, photo
from tests.services.keyed_app import START, KeyedApp, keyed_app
from tests.services.test_authorisation import FORBIDDEN, call, routes_of

SITE = "https://shelter.example"
STATS = "/v1/stats"
CHANGING = ("POST /v1/shared-searches", "DELETE /v1/shared-searches/{share_id}")


def published(keyed: KeyedApp, origin: str | None, **settings: Any) -> TestClient:
    """Whoever read the key in the page, and sends it from `origin`."""
    made = make_key("page", [Scope.SEARCH], START, origins=[SITE])
    keyed.store.add(made.kept)
    client = keyed.client(keyed.app(cors_origins=[SITE], **settings), made.secret)
    client.headers.update({"Origin": origin} if origin else {})
    return client


@pytest.fixture(scope="module")
def keyed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KeyedApp]:
    with keyed_app(tmp_path_factory.mktemp("keyed")) as opened:
        yield opened


@pytest.mark.parametrize("is_open", [True, False])
def test_it_opens_reads_of_searches_alone(keyed: KeyedApp, *, is_open: bool) -> None:
    client = published(keyed, SITE, anonymous_search=is_open)
    opened = {
        route
        for route in routes_of(keyed.app().routes)
        if call(client, route) not in (401, FORBIDDEN)
    }
    searches = {route for route, access in ROUTES.items() if access is Access.OPEN_SEARCH}
    public = {route for route, access in ROUTES.items() if access is Access.PUBLIC}
    assert opened - public == searches - set(CHANGING)


@pytest.mark.parametrize("origin", [None, "https://evil.example", "null", f"{SITE}:8443"])
@pytest.mark.parametrize("is_open", [True, False])
def test_it_is_refused_from_elsewhere(
    keyed: KeyedApp, origin: str | None, *, is_open: bool
) -> None:
    answer = published(keyed, origin, anonymous_search=is_open).get(STATS)
    assert (answer.status_code, SITE in answer.json()["detail"]) == (FORBIDDEN, True)


def test_nobody_signs_in_with_it(keyed: KeyedApp) -> None:
    made = make_key("page", [Scope.SEARCH], START, origins=[SITE])
    keyed.store.add(made.kept)
    answer = keyed.client(keyed.app()).post("/v1/session", json={"api_key": made.secret})
    assert (answer.status_code, "set-cookie" in answer.headers) == (FORBIDDEN, False)


def test_its_visitors_are_counted_by_address(tmp_path: Path) -> None:
    with keyed_app(tmp_path) as keyed:
        limits = {"key_requests_per_minute": 1, "anonymous_requests_per_minute": 2}
        client = published(keyed, SITE, **limits)
        assert [client.get(STATS).status_code for _ in range(3)] == [200, 200, 429]
        other = keyed.client(client.app, address="198.51.100.9")  # type: ignore[arg-type]
        other.headers = client.headers
        assert other.get(STATS).status_code == 200


def test_it_shows_what_visitors_see(tmp_path: Path) -> None:
    with open_house(tmp_path) as house:
        (image_id,) = house.ingest(photo(1, source_path="A-17/1.jpg", location=(52.512345, 13.4)))
        keyed = KeyedApp(house.services, house.services.keys.store)
        image = published(keyed, SITE).get(f"/v1/images/{image_id}").json()
        assert image["source_path"] is None
        assert image["location"] == {"lat": 52.51, "lon": 13.4}


@pytest.mark.parametrize("scopes", [[Scope.ADMIN], [Scope.SEARCH, Scope.PLACES]])
def test_it_has_no_scope_but_search(scopes: list[Scope]) -> None:
    with pytest.raises(InvalidInput, match="only scope is search"):
        make_key("page", scopes, START, origins=[SITE])


@pytest.mark.parametrize("origin", ["*", "shelter.example", f"{SITE}/", f"{SITE}/pets", ""])
def test_an_origin_is_as_browsers_send_it(origin: str) -> None:
    with pytest.raises(InvalidInput, match="is not an origin"):
        make_key("page", [Scope.SEARCH], START, origins=[origin])


def test_it_is_made_over_http(keyed: KeyedApp) -> None:
    admin = keyed.client(keyed.app(), keyed.make_key(Scope.ADMIN))
    body = {"name": "page", "scopes": ["search"], "origins": [SITE, SITE]}
    made = admin.post("/v1/keys", json=body)
    assert made.json()["key"]["origins"] == [SITE]
    assert made.json()["key"] in admin.get("/v1/keys").json()["items"]
    refused = admin.post("/v1/keys", json={**body, "scopes": ["admin"]})
    assert (refused.status_code, "only scope is search" in refused.text) == (422, True)
