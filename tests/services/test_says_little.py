"""What errors and caches do not hold: passwords, internal addresses and long refused input."""

import os
import stat
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import redis
from qdrant_client.http.exceptions import ResponseHandlingException

from devstack import parts, s3_server
from petsearch.access import KeyRing
from petsearch.adapters.qdrant.errors import qdrant_errors
from petsearch.adapters.redis import RedisKeys, RedisLedger
from petsearch.client import Client
from petsearch.domain.addresses import without_password
from petsearch.domain.api_keys import Scope, make_key
from petsearch.domain.errors import ConfigurationError, InvalidInput, Unavailable
from petsearch.failover import split_addresses
from petsearch.sources.import_folders import open_without_links
from petsearch.standalone import locked
from services.api.authorisation import AccessTable
from tests.redis_server import new_database

NOW = datetime(2026, 5, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("http://user:secret@127.0.0.1:1", "http://127.0.0.1:1"),
        ("http://127.0.0.1:1", "http://127.0.0.1:1"),
        ("redis://:se@cret@redis:6379/0", "redis://redis:6379/0"),
        ("redis://:se/cret@redis:6379", "redis://redis:6379"),
        ("redis://:se,cret@a:1,redis://:secret@b:2", "redis://b:2"),
        ("user:secret@host:6333", "host:6333"),
    ],
)
def test_an_address_is_shown_without_its_password(address: str, shown: str) -> None:
    assert without_password(address) == shown


def test_no_error_of_the_client_holds_a_password() -> None:
    with (
        Client("http://user:secret@127.0.0.1:1") as client,
        pytest.raises(Unavailable, match=r"answers at http://127\.0\.0\.1:1 ") as caught,
    ):
        client.jobs()
    assert "secret" not in str(caught.value)
    with pytest.raises(ConfigurationError) as refused:
        split_addresses("ftp://user:secret@a")
    assert "secret" not in str(refused.value)


def test_no_outage_names_an_internal_address() -> None:
    ledger = RedisLedger(redis.Redis(host="127.0.0.1", port=1, decode_responses=True))
    with pytest.raises(Unavailable) as caught:
        ledger.ping()
    assert "127.0.0.1" not in caught.value.detail
    with pytest.raises(Unavailable) as caught, qdrant_errors():
        raise ResponseHandlingException(OSError("connecting to qdrant:6333"))
    assert "6333" not in caught.value.detail


def test_long_paths_that_are_refused_are_not_kept() -> None:
    table = AccessTable()
    table.access("GET", "/" + "a" * 60_000)
    table.access("GET", "/v1/images")
    assert table._cached.cache_info().currsize == 1


def test_the_first_key_administers() -> None:
    client = redis.Redis.from_url(new_database(), decode_responses=True)
    ring = KeyRing(RedisKeys(client), lambda: NOW)
    reader = make_key("page", [Scope.SEARCH], NOW).kept
    with pytest.raises(InvalidInput, match="--scope admin"):
        ring.add_first(reader)
    day = NOW + timedelta(days=1)
    ring.add_first(make_key("me", [Scope.ADMIN], NOW, expires_at=day).kept)
    ring.add_first(reader)
    later = KeyRing(RedisKeys(client), lambda: day)
    with pytest.raises(InvalidInput, match="--scope admin"):
        later.add_first(make_key("other page", [Scope.SEARCH], NOW).kept)


def test_the_data_folder_is_its_owners_alone(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    for mode in (None, 0o755):
        if mode is not None:
            folder.chmod(mode)
        with locked(folder):
            assert stat.S_IMODE(folder.stat().st_mode) == 0o700
            assert stat.S_IMODE((folder / "lock").stat().st_mode) == 0o600


def test_a_link_that_replaces_a_folder_later_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "secret").mkdir()
    for name in ("in", "secret"):
        (tmp_path / name / "a.jpg").write_text(name)
    resolved = (tmp_path / "in/a.jpg").resolve()
    with os.fdopen(open_without_links(resolved)) as file:
        assert file.read() == "in"
    (tmp_path / "in").rename(tmp_path / "before")
    (tmp_path / "in").symlink_to("secret")
    with pytest.raises(OSError, match=r"symbolic links|Not a directory"):
        open_without_links(resolved)


def test_the_development_servers_answer_loopback_alone() -> None:
    def inner(_environ: dict[str, Any], _start: Callable[..., Any]) -> Iterable[bytes]:
        return [b"inner"]

    app, statuses = s3_server.guarded(inner), list[str]()
    for host in ("127.0.0.1:9000", "localhost", "evil.example", ""):
        app({"HTTP_HOST": host}, lambda status, _: statuses.append(status))
    assert statuses == ["421 Misdirected Request"] * 2
    embedder = parts.http_service("embedder", "embedder", 8100, {})
    assert dict(embedder.env or {})["PETSEARCH_ALLOWED_HOSTS"] == '["127.0.0.1"]'
