"""The Prometheus metrics of a worker. Dashboards and alerts rely on their names."""

from collections.abc import Iterable, Mapping
from itertools import product

from prometheus_client import Counter, Gauge, Histogram
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from petsearch.domain import ItemStatus, JobKind, QueueName
from petsearch.domain.errors import PetsearchError
from petsearch.observability import get_logger
from petsearch.ports import IngestObserver, Stage, TaskQueue
from services.http.metrics import ServedMetrics

log = get_logger(__name__)

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)


class WorkerMetrics(ServedMetrics, IngestObserver):
    """Metrics of ingest, as its `IngestObserver`, and of the queues."""

    def __init__(self) -> None:
        super().__init__()
        self._items = Counter(
            "petsearch_ingest_items",
            "Items accounted, by the kind of their job and what became of them",
            ["kind", "status"],
            registry=self.registry,
        )
        self._stage_s = Histogram(
            "petsearch_ingest_stage_seconds",
            "Time of a step: of an item (fetch, decode, store) or of a batch (embed, index)",
            ["stage"],
            buckets=_SECONDS,
            registry=self.registry,
        )
        self._paused = Gauge(
            "petsearch_ingest_paused",
            "1 while a dependency is down and this worker waits for it",
            registry=self.registry,
        )
        for kind, status in product(JobKind, ItemStatus):
            self._items.labels(kind.value, status.value)

    def stage_took(self, stage: Stage, seconds: float) -> None:
        self._stage_s.labels(stage.value).observe(seconds)

    def items_ended(self, kind: JobKind, counts: Mapping[ItemStatus, int]) -> None:
        for status, count in counts.items():
            self._items.labels(kind.value, status.value).inc(count)

    def paused(self, *, is_paused: bool) -> None:
        self._paused.set(is_paused)

    def watch(self, queue: TaskQueue) -> None:
        """Read the depth of the queues at every scrape."""
        self.registry.register(_Depths(queue))


class _Depths(Collector):
    def __init__(self, queue: TaskQueue) -> None:
        self._queue = queue

    def describe(self) -> Iterable[Metric]:
        """Called at registration, which must not call Redis."""
        return []

    def collect(self) -> Iterable[Metric]:
        """Called at every scrape."""
        depth = GaugeMetricFamily(
            "petsearch_queue_messages", "Messages that wait for a worker", labels=["queue"]
        )
        for name in QueueName:
            try:
                depth.add_metric([name.value], self._queue.depth(name))
            except PetsearchError:  # Redis is down: the other metrics are still served
                log.debug("queue depth unknown", queue=name.value)
        yield depth
