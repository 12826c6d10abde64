"""Batches across callers: one device thread, people before bulk work, a bounded queue.

A lone request never waits: batches form while the device is busy. Requests are slices of rows, so
a large one is cut to what the device does in a given time and a query never waits long behind it.
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from petsearch.errors import Conflict, InvalidInput, Overloaded, Unavailable
from petsearch.model import Embeddings, ModelInfo, Pixels, Priority
from petsearch.observability import get_logger
from petsearch.ports import ClipModel

log = get_logger(__name__)

Rows = NDArray[Any]
Encode = Callable[[Rows], Embeddings]


@dataclass(frozen=True)
class BatchingOptions:
    """Bounds of the queue and of a batch."""

    max_batch_size: int = 64
    """Rows of one device call."""
    max_queued_rows: int = 4096
    """Rows waiting, all callers together; more is `Overloaded`."""
    ingest_batch_s: float = 0.2
    """Device time an ingest batch may take: what a query may have to wait for."""
    query_batches_per_ingest: int = 8
    """After so many query batches in a row, one ingest batch runs."""


@dataclass(eq=False)
class _Request:
    kind: str
    rows: Rows
    future: Future[Embeddings]
    taken: int = 0
    parts: list[Embeddings] = field(default_factory=list)

    @property
    def left(self) -> int:
        return len(self.rows) - self.taken


@dataclass(frozen=True)
class _Slice:
    request: _Request
    rows: Rows


class Batcher:
    """Runs named functions over stacked rows in one thread of its own.

    Args:
        encoders: for each kind of row, a function from `(n, …)` to float32 `(n, dim)`.
        options: bounds of the queue and of a batch.
    """

    def __init__(self, encoders: Mapping[str, Encode], options: BatchingOptions) -> None:
        self._encoders = dict(encoders)
        self._options = options
        self._queues: dict[Priority, deque[_Request]] = {p: deque() for p in Priority}
        self._changed = threading.Condition()
        self._queued_rows = 0
        self._queries_in_a_row = 0
        self._rows_per_s: dict[str, float] = {}
        self._closing = False
        self._thread = threading.Thread(target=self._work, name="batcher", daemon=True)
        self._thread.start()

    def submit(self, kind: str, rows: Rows, priority: Priority) -> Future[Embeddings]:
        """Queue `rows`; the future holds `(n, dim)`. Cancel it to leave the queue.

        Raises:
            Overloaded: the queue is full.
            Unavailable: the batcher is closed.
        """
        future: Future[Embeddings] = Future()
        with self._changed:
            if self._closing:
                raise Unavailable("The embedder is shutting down; try again shortly.")
            if self._queued_rows + len(rows) > self._options.max_queued_rows:
                raise Overloaded("The embedder's queue is full.", retry_after_s=self._drain_s(kind))
            self._queued_rows += len(rows)
            self._queues[priority].append(_Request(kind, rows, future))
            self._changed.notify()
        return future

    def close(self) -> None:
        """Finish what is queued, then stop the thread."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        self._thread.join()

    def _drain_s(self, kind: str) -> float:
        rate = self._rows_per_s.get(kind, 0.0)
        return min(60.0, max(1.0, self._queued_rows / rate)) if rate else 1.0

    def _work(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._closing or any(self._queues.values()))
                batch = self._next_batch()
                if not batch and self._closing and not any(self._queues.values()):
                    return
            if batch:
                self._run(batch)

    def _next_batch(self) -> list[_Slice]:
        queries, ingest = self._queues[Priority.QUERY], self._queues[Priority.INGEST]
        turn_of_ingest = self._queries_in_a_row >= self._options.query_batches_per_ingest
        if queries and not (ingest and turn_of_ingest):
            self._queries_in_a_row += 1
            return self._take(queries, self._options.max_batch_size)
        self._queries_in_a_row = 0
        if not ingest:
            return []
        return self._take(ingest, self._ingest_rows(ingest[0].kind))

    def _ingest_rows(self, kind: str) -> int:
        # Before the first measurement a small batch is a safe guess.
        rate = self._rows_per_s.get(kind, 8 / self._options.ingest_batch_s)
        return max(1, min(self._options.max_batch_size, int(rate * self._options.ingest_batch_s)))

    def _take(self, queue: deque[_Request], room: int) -> list[_Slice]:
        """Slices of the first kind in line, up to `room` rows; cancelled requests are dropped."""
        slices: list[_Slice] = []
        kind: str | None = None
        while queue and room > 0:
            request = queue[0]
            if kind is not None and request.kind != kind:
                break
            if request.taken == 0 and not request.future.set_running_or_notify_cancel():
                queue.popleft()
                self._queued_rows -= len(request.rows)
                continue
            kind = request.kind
            count = min(room, request.left)
            slices.append(_Slice(request, request.rows[request.taken : request.taken + count]))
            request.taken += count
            room -= count
            self._queued_rows -= count
            if request.left == 0:
                queue.popleft()
        return slices

    def _run(self, batch: Sequence[_Slice]) -> None:
        kind = batch[0].request.kind
        rows = batch[0].rows if len(batch) == 1 else np.concatenate([s.rows for s in batch])
        started = time.perf_counter()
        try:
            embeddings = self._encoders[kind](rows)
            if not np.isfinite(embeddings).all():
                raise ArithmeticError("the model produced NaN or infinity")
        except Exception as error:  # the thread's edge: every waiter must be answered
            log.exception("batch failed", kind=kind, rows=len(rows))
            self._fail(batch, error)
            return
        self._learn_rate(kind, len(rows), time.perf_counter() - started)
        self._deliver(batch, embeddings)

    def _learn_rate(self, kind: str, rows: int, seconds: float) -> None:
        rate = rows / max(seconds, 1e-6)
        before = self._rows_per_s.get(kind, rate)
        self._rows_per_s[kind] = 0.7 * before + 0.3 * rate

    def _fail(self, batch: Sequence[_Slice], error: Exception) -> None:
        failure = Unavailable(f"The embedder failed on a batch: {error}")
        failure.__cause__ = error
        with self._changed:
            for request in (s.request for s in batch):
                for queue in self._queues.values():
                    if request in queue:
                        queue.remove(request)
                        self._queued_rows -= request.left
        for request in (s.request for s in batch):
            request.future.set_exception(failure)

    def _deliver(self, batch: Sequence[_Slice], embeddings: Embeddings) -> None:
        start = 0
        for piece in batch:
            request = piece.request
            request.parts.append(embeddings[start : start + len(piece.rows)])
            start += len(piece.rows)
            if request.left == 0:
                parts = request.parts
                request.future.set_result(parts[0] if len(parts) == 1 else np.concatenate(parts))


class BatchingEmbedder:
    """The `Embedder` port over one model in this process."""

    def __init__(self, model: ClipModel, options: BatchingOptions) -> None:
        self._model = model
        self._batcher = Batcher(
            {"pixels": model.encode_pixels, "texts": model.encode_tokens}, options
        )

    def models(self) -> tuple[ModelInfo, ...]:
        """The one loaded model."""
        return (self._model.info,)

    def embed_texts(
        self,
        texts: Sequence[str],
        *,
        model_id: str | None = None,
        priority: Priority = Priority.QUERY,
    ) -> Embeddings:
        """See `Embedder.embed_texts`."""
        self._check_model(model_id)
        if not texts:
            return np.empty((0, self._model.info.dim), np.float32)
        tokens = self._model.tokenise(texts)
        return self._batcher.submit("texts", tokens, priority).result()

    def embed_pixels(
        self,
        pixels: Pixels,
        *,
        model_id: str | None = None,
        priority: Priority = Priority.QUERY,
    ) -> Embeddings:
        """See `Embedder.embed_pixels`."""
        self._check_model(model_id)
        spec = self._model.info.pixel_spec
        wanted = (3, spec.height, spec.width)
        if pixels.dtype != np.uint8 or pixels.ndim != 4 or pixels.shape[1:] != wanted:
            raise InvalidInput(
                f"Pixels must be uint8 of shape (n, {wanted[0]}, {wanted[1]}, {wanted[2]}); "
                f"these are {pixels.dtype} of shape {pixels.shape}."
            )
        if not len(pixels):
            return np.empty((0, self._model.info.dim), np.float32)
        return self._batcher.submit("pixels", pixels, priority).result()

    def close(self) -> None:
        """Finish what is queued and stop."""
        self._batcher.close()

    def _check_model(self, model_id: str | None) -> None:
        loaded = self._model.info.model_id
        if model_id not in (None, loaded):
            raise Conflict(f"The model {model_id!r} is not loaded. Loaded: {loaded}.")
