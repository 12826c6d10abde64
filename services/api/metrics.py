"""What the API tells Prometheus. The names are a contract with dashboards and alerts."""

import time
from collections.abc import Iterable
from dataclasses import dataclass

from prometheus_client import Counter, Histogram
from prometheus_client.core import CounterMetricFamily, Metric
from prometheus_client.registry import Collector
from starlette.types import Message, Receive, Scope, Send

from petsearch.embedding import CachingEmbedder
from services.http.asgi import HttpMiddleware
from services.http.metrics import ServedMetrics

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
_NO_ROUTE = "none"
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


class ApiMetrics(ServedMetrics):
    """Of requests and of the cache of query embeddings."""

    def __init__(self) -> None:
        super().__init__()
        self._requests = Counter(
            "petsearch_http_requests",
            "Requests answered",
            ["method", "route", "status"],
            registry=self.registry,
        )
        self._seconds = Histogram(
            "petsearch_http_request_seconds",
            "Time until an answer begins",
            ["method", "route"],
            buckets=_SECONDS,
            registry=self.registry,
        )
        self._by_kind: dict[tuple[str, str, int], tuple[Counter, Histogram]] = {}

    def answered(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count a request. `route` is a path with its parameters' names in it."""
        requests, times = self._of(_known(method), route, status)
        requests.inc()
        times.observe(seconds)

    def refused(self, method: str, status: int, number: int) -> None:
        """Count requests that never came to a route. They are not timed."""
        requests, _ = self._of(_known(method), _NO_ROUTE, status)
        requests.inc(number)

    def _of(self, method: str, route: str, status: int) -> tuple[Counter, Histogram]:
        """What counts requests of a kind; finding that by its labels takes longer."""
        kind = method, route, status
        if kind not in self._by_kind:
            self._by_kind[kind] = (
                self._requests.labels(method, route, str(status)),
                self._seconds.labels(method, route),
            )
        return self._by_kind[kind]

    def watch(self, cache: CachingEmbedder) -> None:
        """Read how often query embeddings were kept whenever the metrics are asked for."""
        self.registry.register(_CacheUsage(cache))


def _known(method: str) -> str:
    return method if method in _METHODS else "other"


@dataclass(eq=False)
class Measure(HttpMiddleware):
    """Tells the metrics of every request, by the route that answered it."""

    metrics: ApiMetrics

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        started = time.perf_counter()

        async def send_measured(message: Message) -> None:
            if message["type"] == "http.response.start":
                seconds = time.perf_counter() - started
                route = getattr(scope.get("route"), "path_format", None) or _NO_ROUTE
                self.metrics.answered(scope["method"], route, message["status"], seconds)
            await send(message)

        await self.app(scope, receive, send_measured)


class _CacheUsage(Collector):
    def __init__(self, cache: CachingEmbedder) -> None:
        self._cache = cache

    def collect(self) -> Iterable[Metric]:
        """Called by the registry when the metrics are asked for."""
        texts = CounterMetricFamily(
            "petsearch_query_cache_texts", "Query texts, by whether they were kept", labels=["kept"]
        )
        texts.add_metric(["yes"], self._cache.hits)
        texts.add_metric(["no"], self._cache.misses)
        yield texts
