"""The embedder's metrics for Prometheus. The names are a contract with dashboards and alerts."""

import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from prometheus_client import Counter, Histogram
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from petsearch.embedding import BatchingEmbedder, BatchObserver
from petsearch.embedding.batching import Kind
from services.http.metrics import ServedMetrics

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_ROWS = (1, 2, 4, 8, 16, 32, 64, 128)


class EmbedderMetrics(ServedMetrics, BatchObserver):
    """Of batches, whose `BatchObserver` it is, and of the device."""

    def __init__(self) -> None:
        super().__init__()
        self._batch_rows = Histogram(
            "petsearch_embedder_batch_rows",
            "Rows of a batch",
            ["kind"],
            buckets=_ROWS,
            registry=self.registry,
        )
        self._stage_s = Histogram(
            "petsearch_embedder_stage_seconds",
            "Time in a stage: decode, tokenise, wait, encode",
            ["stage", "kind"],
            buckets=_SECONDS,
            registry=self.registry,
        )
        self._overloaded = Counter(
            "petsearch_embedder_overloaded",
            "Requests refused because the queue was full",
            registry=self.registry,
        )

    def watch(self, embedder: BatchingEmbedder) -> None:
        """Read the embedder's queue and memory whenever the metrics are asked for."""
        self.registry.register(_Gauges(embedder))

    def batch_done(self, kind: Kind, rows: int, waited_s: float, ran_s: float) -> None:
        self._batch_rows.labels(str(kind)).observe(rows)
        self._stage_s.labels("wait", str(kind)).observe(waited_s)
        self._stage_s.labels("encode", str(kind)).observe(ran_s)

    def overloaded(self) -> None:
        self._overloaded.inc()

    @contextmanager
    def timed(self, stage: str, kind: str) -> Iterator[None]:
        """Time a stage that runs outside the batcher."""
        started = time.perf_counter()
        yield
        self._stage_s.labels(stage, kind).observe(time.perf_counter() - started)


class _Gauges(Collector):
    def __init__(self, embedder: BatchingEmbedder) -> None:
        self._embedder = embedder

    def collect(self) -> Iterable[Metric]:
        """Called by the registry when the metrics are asked for."""
        prefix = "petsearch_embedder"
        batcher, usage = self._embedder.batcher, self._embedder.usage()
        yield GaugeMetricFamily(f"{prefix}_queue_rows", "Rows waiting", batcher.queued_rows)
        yield GaugeMetricFamily(
            f"{prefix}_queue_oldest_seconds", "Wait of the first in line", batcher.oldest_wait_s
        )
        yield GaugeMetricFamily(f"{prefix}_models", "Loaded models", len(self._embedder.models()))
        yield GaugeMetricFamily(
            f"{prefix}_device_memory_bytes", "Memory held on the device", usage.device_memory_bytes
        )
        positions = CounterMetricFamily(
            f"{prefix}_text_positions",
            "Token positions: needed by the texts, and computed with padding",
            labels=["which"],
        )
        positions.add_metric(["needed"], usage.text_positions_needed)
        positions.add_metric(["computed"], usage.text_positions_computed)
        yield positions
