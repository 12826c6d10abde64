"""What the store of API keys and the rate limiter promise, on a real Redis."""

import os
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import redis

from petsearch.access import KeyRing
from petsearch.adapters.redis import RedisKeys, RedisLimiter
from petsearch.adapters.redis.client import without_retries
from petsearch.domain.api_keys import ApiKey, Scope, make_key
from petsearch.domain.errors import NotFound, Unavailable
from petsearch.ports import KeyStore
from tests.contract.real_servers import where_set

NOW = datetime(2026, 1, 1, 12, 34, tzinfo=UTC)
LATER = NOW + timedelta(days=1)


@pytest.fixture(params=["private redis", *where_set("PETSEARCH_TEST_REDIS_URL", "redis server")])
def server(request: pytest.FixtureRequest) -> Iterator[redis.Redis]:
    if request.param == "private redis":
        client = request.getfixturevalue("private_redis")
        yield client
        return
    client = redis.Redis.from_url(os.environ["PETSEARCH_TEST_REDIS_URL"], decode_responses=True)
    client.flushall()
    yield client
    client.close()


@pytest.fixture
def store(server: redis.Redis) -> KeyStore:
    return RedisKeys(server)


def test_a_rejected_password_is_no_redis_that_does_not_answer(redis_url: str) -> None:
    address = redis_url.replace("redis://", "redis://somebody:wrong@")
    with redis.Redis.from_url(address) as client, pytest.raises(Unavailable) as raised:
        RedisKeys(client).all()
    assert "rejects the password" in raised.value.detail
    assert "wrong" not in raised.value.detail


@pytest.fixture
def limiter(server: redis.Redis) -> RedisLimiter:
    return RedisLimiter(server)


@pytest.fixture
def nowhere(tmp_path_factory: pytest.TempPathFactory) -> Iterator[redis.Redis]:
    """A client of a Redis that is not there."""
    path = tmp_path_factory.mktemp("none") / "none.sock"
    client = redis.Redis(unix_socket_path=str(path), decode_responses=True)
    yield without_retries(client, 1)
    client.close()


def test_a_key_comes_back_as_it_was_kept(store: KeyStore) -> None:
    key = make_key("a phone", [Scope.SEARCH, Scope.INGEST], NOW, expires_at=LATER).kept
    published = make_key("a site", [Scope.SEARCH], LATER, origins=["https://a.example"]).kept
    store.add(key)
    store.add(published)
    assert store.all() == [key, published]


def test_all_are_listed_the_oldest_first(store: KeyStore) -> None:
    second, first = make_key("2", [Scope.ADMIN], LATER).kept, make_key("1", [Scope.ADMIN], NOW).kept
    store.add(second)
    store.add(first)
    assert [key.name for key in store.all()] == ["1", "2"]


def test_a_revoked_key_stays_with_the_time_it_was_revoked_first(store: KeyStore) -> None:
    key = make_key("a", [Scope.SEARCH], NOW).kept
    store.add(key)
    store.revoke(key.key_id, NOW)
    store.revoke(key.key_id, LATER)
    assert store.all() == [replace(key, revoked_at=NOW)]


def test_a_key_that_does_not_exist_is_said_and_not_made(store: KeyStore) -> None:
    with pytest.raises(NotFound):
        store.revoke("0" * 12, NOW)
    store.note_use("0" * 12, NOW)
    assert store.all() == []


def test_use_is_remembered(store: KeyStore) -> None:
    key = make_key("a", [Scope.SEARCH], NOW).kept
    store.add(key)
    store.note_use(key.key_id, NOW)
    store.note_use(key.key_id, LATER)
    assert store.all()[0].last_used_at == LATER


def test_a_session_stands_for_its_key_until_it_ends(store: KeyStore) -> None:
    store.open_session("hash", "id", 60)
    assert store.session_key_id("hash") == "id"
    assert store.session_key_id("other") is None
    store.close_session("hash")
    store.close_session("hash")
    assert store.session_key_id("hash") is None


def test_a_session_ends_by_itself(store: KeyStore) -> None:
    store.open_session("hash", "id", 0.02)
    deadline = time.monotonic() + 10
    while store.session_key_id("hash") is not None:
        assert time.monotonic() < deadline


def test_nothing_in_the_store_opens_a_door(store: KeyStore, server: redis.Redis) -> None:
    made = make_key("a", [Scope.ADMIN], NOW)
    store.add(made.kept)
    secret = made.secret.split("_", 2)[2]
    kept = [str(server.hgetall(name)) for name in server.scan_iter(match="petsearch:key:*")]
    assert len(kept) == 1
    assert secret not in kept[0]
    assert secret not in repr(made)


def test_a_minutes_worth_is_granted_at_once_and_then_one_at_a_time(limiter: RedisLimiter) -> None:
    granted = [limiter.take("me", 3) for _ in range(3)]
    assert [a.is_granted for a in granted] == [True] * 3
    assert [a.remaining for a in granted] == [2, 1, 0]
    refused = limiter.take("me", 3)
    assert not refused.is_granted
    assert 19 < refused.retry_after_s <= 20
    assert 59 < refused.full_after_s <= 60
    assert limiter.take("you", 3).is_granted


def test_what_was_used_comes_back(limiter: RedisLimiter) -> None:
    per_minute = 300  # one in 200 ms
    while (refused := limiter.take("me", per_minute)).is_granted:
        pass
    assert 0 < refused.retry_after_s <= 0.2
    deadline = time.monotonic() + 10
    while not limiter.take("me", per_minute).is_granted:
        assert time.monotonic() < deadline


def test_a_redis_that_is_away_is_said(nowhere: redis.Redis) -> None:
    store, limiter = RedisKeys(nowhere), RedisLimiter(nowhere)
    for call in (store.all, lambda: store.session_key_id("x"), lambda: limiter.take("me", 1)):
        with pytest.raises(Unavailable):
            call()


def test_keys_that_were_read_are_good_while_the_store_is_away(
    store: KeyStore, nowhere: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = make_key("a", [Scope.SEARCH], NOW)
    store.add(made.kept)
    ring = KeyRing(store, lambda: NOW)
    assert ring.read().find(made.secret, NOW) == made.kept
    ring.store = RedisKeys(nowhere)
    monkeypatch.setattr("petsearch.access.key_ring.FRESH_S", 0.0)
    assert ring.fresh() is None
    assert ring.read().find(made.secret, NOW) == made.kept
    with pytest.raises(Unavailable):
        KeyRing(RedisKeys(nowhere), lambda: NOW).read()


def test_a_key_is_revoked_here_at_once_also_while_keys_are_read(
    store: KeyStore, server: redis.Redis
) -> None:
    is_read, goes_on = threading.Event(), threading.Event()

    class SlowKeys(RedisKeys):
        def all(self) -> list[ApiKey]:
            found = super().all()
            is_read.set()
            assert goes_on.wait(10)
            return found

    made = make_key("a", [Scope.SEARCH], NOW)
    store.add(made.kept)
    ring = KeyRing(SlowKeys(server), lambda: NOW)
    with ThreadPoolExecutor() as threads:
        reading = threads.submit(ring.read)
        assert is_read.wait(10)
        revoking = threads.submit(ring.revoke, made.kept.key_id)
        wait([revoking], 0.2)
        goes_on.set()
        assert reading.result().find(made.secret, NOW)
        revoking.result()
    assert ring.read().find(made.secret, NOW) is None


def test_only_the_whole_key_is_the_key(store: KeyStore) -> None:
    made = make_key("a", [Scope.SEARCH], NOW, expires_at=LATER)
    store.add(made.kept)
    known = KeyRing(store, lambda: NOW).read()
    other = make_key("b", [Scope.SEARCH], NOW).secret.split("_", 2)[2]
    assert known.find(made.secret, NOW) == made.kept
    for wrong in ("", made.secret[:-1], f"ps_{made.kept.key_id}_{other}", made.secret + "A"):
        assert known.find(wrong, NOW) is None
    assert known.find(made.secret, LATER) is None


def test_a_session_that_was_seen_is_good_while_the_store_is_away(
    store: KeyStore, nowhere: redis.Redis
) -> None:
    made = make_key("a", [Scope.SEARCH], NOW)
    store.add(made.kept)
    ring = KeyRing(store, lambda: NOW)
    seen, unseen, ended = (ring.open_session(made.kept, 60) for _ in range(3))
    assert ring.key_of_session(seen) == ring.key_of_session(ended) == made.kept
    ring.close_session(ended)
    ring.store = RedisKeys(nowhere)
    assert ring.key_of_session(seen) == made.kept
    for token in (unseen, ended):
        with pytest.raises(Unavailable):
            ring.key_of_session(token)


def test_a_client_without_retries_does_not_wait_for_a_server_that_is_silent(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as silent:
        silent.bind(str(tmp_path / "silent.sock"))
        silent.listen()
        patient = redis.Redis(unix_socket_path=str(tmp_path / "silent.sock"), protocol=2)
        started = time.monotonic()
        with pytest.raises(Unavailable):
            RedisLimiter(without_retries(patient, 0.05)).take("me", 1)
        assert time.monotonic() - started < 5
        patient.close()
