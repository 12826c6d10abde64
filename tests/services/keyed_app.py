"""The API in this process over real parts (Redis, Qdrant Edge, files, a tiny CLIP), with keys."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from fastapi import FastAPI
from fastapi.testclient import TestClient

from petsearch.access import KeyRing
from petsearch.adapters.redis import RedisLimiter
from petsearch.app.services import Services, build_services
from petsearch.domain.api_keys import Scope, make_key
from petsearch.embedding import BatchingEmbedder, BatchingOptions
from petsearch.ports import KeyStore
from petsearch.settings import Settings
from services.api.app import build_app
from services.api.metrics import ApiMetrics
from tests.contract.tiny_clip import TinyClip
from tests.decoding import decoders
from tests.services.house import settings_in

START = datetime(2026, 1, 1, 12, tzinfo=UTC)
ADDRESS = "192.0.2.7"


@dataclass
class Clock:
    """Tells the time that a test sets."""

    now: datetime = START

    def __call__(self) -> datetime:
        """The time."""
        return self.now


@dataclass
class KeyedApp:
    """Services without keys at first, and apps over them under settings of a test's own."""

    services: Services
    store: KeyStore
    clock: Clock = field(default_factory=Clock)

    def app(
        self,
        *,
        is_on_loopback: bool = False,
        web_dir: Path | None = None,
        store: KeyStore | None = None,
        limiter: RedisLimiter | None = None,
        metrics: ApiMetrics | None = None,
        **settings: Any,
    ) -> FastAPI:
        """An app that asks for keys and counts nothing, unless `settings` say otherwise."""
        unlimited = {"key_requests_per_minute": 0, "anonymous_requests_per_minute": 0}
        mine = Settings.model_validate(
            {**self.services.settings.model_dump(), **unlimited, **settings}
        )
        services = replace(
            self.services,
            settings=mine,
            keys=KeyRing(store or self.store, self.clock),
            limiter=limiter or self.services.limiter,
            clock=self.clock,
        )
        return build_app(services, is_on_loopback=is_on_loopback, web_dir=web_dir, metrics=metrics)

    def client(
        self, app: FastAPI, key: str = "", *, address: str = ADDRESS, scheme: str = "http"
    ) -> TestClient:
        """Somebody at `address` who holds `key`."""
        headers = {"Authorization": f"Bearer {key}"} if key else None
        base_url = f"{scheme}://127.0.0.1"
        return TestClient(app, base_url=base_url, headers=headers, client=(address, 50_000))

    def make_key(self, *scopes: Scope, days: int | None = None) -> str:
        """A key that every app knows from now on."""
        now = self.clock()
        expires_at = None if days is None else now + timedelta(days=days)
        made = make_key("test", scopes, now, expires_at=expires_at)
        self.store.add(made.kept)
        return made.secret

    def revoke(self, key: str) -> None:
        """Revoke a key behind the back of every app."""
        self.store.revoke(key.split("_")[1], self.clock())


@contextmanager
def keyed_app(folder: Path, **options: Any) -> Iterator[KeyedApp]:
    """Everything under `folder` and in an empty database of Redis; closed at the end."""
    embedder = BatchingEmbedder(TinyClip(), BatchingOptions())
    services = build_services(
        settings_in(folder, **options), embedder=embedder, decoders=decoders()
    )
    services.initialise()
    yield KeyedApp(services, services.keys.store)
    services.close()
