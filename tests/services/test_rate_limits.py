"""Rate limits by key and by address, on a real Redis, and without one."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
from fastapi.testclient import TestClient
from structlog.testing import capture_logs

from petsearch.adapters.redis import RedisKeys, RedisLimiter
from petsearch.adapters.redis.client import without_retries
from petsearch.domain.api_keys import Scope
from tests.services.keyed_app import KeyedApp, keyed_app

STATS = "/v1/stats"
TOO_MANY = 429


@pytest.fixture(scope="module")
def keyed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KeyedApp]:
    with keyed_app(tmp_path_factory.mktemp("keyed")) as opened:
        yield opened


@pytest.fixture
def nowhere(tmp_path: Path) -> Iterator[redis.Redis]:
    """A client of a Redis that is not there."""
    client = redis.Redis(unix_socket_path=str(tmp_path / "none.sock"), decode_responses=True)
    yield without_retries(client, 1)
    client.close()


def statuses(client: TestClient, count: int, path: str = STATS) -> list[int]:
    return [client.get(path).status_code for _ in range(count)]


def test_each_key_has_a_limit_of_its_own(keyed: KeyedApp) -> None:
    app = keyed.app(key_requests_per_minute=3)
    first, second = keyed.make_key(Scope.SEARCH), keyed.make_key(Scope.SEARCH)
    assert statuses(keyed.client(app, first), 5) == [200, 200, 200, TOO_MANY, TOO_MANY]
    assert statuses(keyed.client(app, second), 1) == [200]
    # From wherever it is used.
    assert statuses(keyed.client(app, first, address="192.0.2.99"), 1) == [TOO_MANY]


def test_a_refusal_says_when_to_come_back(keyed: KeyedApp) -> None:
    app = keyed.app(key_requests_per_minute=2)
    client = keyed.client(app, keyed.make_key(Scope.SEARCH))
    began = time.monotonic()
    granted = client.get(STATS)
    assert granted.headers["ratelimit-policy"] == '"minute";q=2;w=60'
    assert granted.headers["ratelimit"] == '"minute";r=1;t=30'
    assert "retry-after" not in granted.headers
    client.get(STATS)
    refused = client.get(STATS)
    assert refused.status_code == TOO_MANY
    assert refused.headers["content-type"] == "application/problem+json"
    # The bucket has filled meanwhile, and a first request can take seconds.
    took_s = time.monotonic() - began
    assert 29 - took_s <= int(refused.headers["retry-after"]) <= 30
    assert refused.json()["request_id"] == refused.headers["x-request-id"]


def test_visitors_without_a_key_are_counted_by_address(keyed: KeyedApp) -> None:
    app = keyed.app(anonymous_search=True, anonymous_requests_per_minute=2)
    here, there = (keyed.client(app, address=f"198.51.100.{n}") for n in (1, 2))
    assert statuses(here, 3) == [200, 200, TOO_MANY]
    assert statuses(there, 1) == [200]
    # Nobody chooses an address by a header.
    lied = here.get(STATS, headers={"X-Forwarded-For": "198.51.100.3"})
    assert lied.status_code == TOO_MANY


def test_behind_a_trusted_proxy_the_visitors_address_counts(keyed: KeyedApp) -> None:
    app = keyed.app(
        anonymous_search=True,
        anonymous_requests_per_minute=1,
        trusted_proxies=["10.1.0.0/16"],
    )
    proxy = keyed.client(app, address="10.1.0.1")
    for visitor in ("198.51.100.11", "198.51.100.12"):
        answers = [
            proxy.get(STATS, headers={"X-Forwarded-For": f"made-up, {visitor}"}).status_code
            for _ in range(2)
        ]
        assert answers == [200, TOO_MANY], visitor


def test_trying_keys_is_counted_by_address(keyed: KeyedApp) -> None:
    app = keyed.app(anonymous_requests_per_minute=2)
    keyed.make_key(Scope.ADMIN)
    guessing = keyed.client(app, "ps_guess", address="198.51.100.21")
    picture = "/v1/images/00000000-0000-0000-0000-000000000000/thumbnail"
    assert statuses(guessing, 3, picture) == [401, 401, TOO_MANY]
    signing_in = keyed.client(app, address="198.51.100.22")
    tried = [
        signing_in.post("/v1/session", json={"api_key": "ps_guess"}).status_code for _ in range(3)
    ]
    assert tried == [401, 401, TOO_MANY]


def test_probes_and_pictures_are_not_counted(keyed: KeyedApp) -> None:
    app = keyed.app(anonymous_search=True, anonymous_requests_per_minute=1)
    client = keyed.client(app, address="198.51.100.31")
    picture = "/v1/images/00000000-0000-0000-0000-000000000000/thumbnail"
    assert statuses(client, 3, "/livez") == [200] * 3
    assert statuses(client, 3, picture) == [404] * 3
    assert statuses(client, 2) == [200, TOO_MANY]


def test_nobody_is_counted_where_nobody_needs_a_key(keyed: KeyedApp) -> None:
    app = keyed.app(allow_no_keys=True, anonymous_requests_per_minute=1, key_requests_per_minute=1)
    assert statuses(keyed.client(app), 3) == [200] * 3


def test_searches_go_on_while_redis_cannot_count_and_the_log_says_so_once(
    keyed: KeyedApp, nowhere: redis.Redis
) -> None:
    app = keyed.app(key_requests_per_minute=1, limiter=RedisLimiter(nowhere))
    client = keyed.client(app, keyed.make_key(Scope.SEARCH))
    with capture_logs() as logged:
        assert statuses(client, 3) == [200] * 3
    assert sum("rate limits do not hold" in line["event"] for line in logged) == 1


def test_a_server_that_never_read_its_keys_lets_nobody_in(
    keyed: KeyedApp, nowhere: redis.Redis
) -> None:
    app = keyed.app(is_on_loopback=True, anonymous_search=True, store=RedisKeys(nowhere))
    client = keyed.client(app, keyed.make_key(Scope.ADMIN))
    answer = client.get(STATS)
    assert answer.status_code == 503
    assert "retry-after" in answer.headers
    assert client.get("/livez").status_code == 200
