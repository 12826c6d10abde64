"""Batches across callers: one device thread, people before bulk work, a bounded queue.

A lone request never waits: batches form while the device is busy. Requests are slices of rows, so
a large one is cut to what the device does in a given time and a query never waits long behind it.
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Hashable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from petsearch.domain import Embeddings, Priority, deadline
from petsearch.domain.errors import (
    Conflict,
    DeviceLost,
    DeviceMemoryFull,
    Overloaded,
    TooLarge,
    Unavailable,
)
from petsearch.observability import get_logger
from petsearch.ports.work_in_hand import WorkInHand

log = get_logger(__name__)

Rows = NDArray[Any]
Encode = Callable[[Rows], Embeddings]
Kind = Hashable
"""What can be in one batch: rows for the same encoder."""


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

    @classmethod
    def of_device(cls, device: str) -> Self:
        """Bounds that fit `cpu`, or a GPU (`cuda…`): there batches are larger and much shorter."""
        return cls() if device == "cpu" else cls(max_batch_size=256, ingest_batch_s=0.05)


class BatchObserver:
    """Receives what the batcher does and ignores it. Subclasses are called from any thread."""

    def batch_done(self, kind: Kind, rows: int, waited_s: float, ran_s: float) -> None:
        """A batch was encoded; its oldest request had waited `waited_s`."""

    def overloaded(self) -> None:
        """A request was refused because the queue is full."""


@dataclass(eq=False)
class _Request:
    kind: Kind
    rows: Rows
    future: Future[Embeddings]
    queued_at: float
    expires_at: float
    """On `time.monotonic`: whoever waits for it has left by then."""
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
    """Runs functions over stacked rows in one thread of its own, the device's.

    Args:
        options: bounds of the queue and of a batch.
        observer: is called for every batch.
    """

    def __init__(self, options: BatchingOptions, observer: BatchObserver | None = None) -> None:
        self._options = options
        self._observer = observer or BatchObserver()
        self._encoders: dict[Kind, Encode] = {}
        self._queues: dict[Priority, deque[_Request]] = {p: deque() for p in Priority}
        self._changed = threading.Condition()
        self._queued_rows = 0
        self._queries_in_a_row = 0
        self._rows_per_s: dict[Kind, float] = {}
        self._fitting_rows: dict[Kind, int] = {}
        self._lost: DeviceLost | None = None
        self._closing = False
        self.in_hand = WorkInHand()
        """The call of the device that runs now."""
        self._thread = threading.Thread(target=self._work, name="batcher", daemon=True)
        self._thread.start()

    @property
    def queued_rows(self) -> int:
        """Rows that wait now."""
        return self._queued_rows

    @property
    def oldest_wait_s(self) -> float:
        """How long the request at the head of a queue has waited."""
        with self._changed:
            heads = [queue[0].queued_at for queue in self._queues.values() if queue]
        return time.perf_counter() - min(heads) if heads else 0.0

    def add(self, kind: Kind, encode: Encode) -> None:
        """Encode rows of `kind` by `encode`, from `(n, …)` to float32 `(n, dim)`."""
        with self._changed:
            self._encoders[kind] = encode

    def remove(self, kind: Kind) -> None:
        """Remove `kind`; requests that wait for it fail with `Conflict`."""
        with self._changed:
            self._encoders.pop(kind, None)
            for request in self._withdraw(lambda r: r.kind == kind and not r.taken):
                if request.future.set_running_or_notify_cancel():
                    request.future.set_exception(Conflict("The model was unloaded."))

    def check_device(self) -> None:
        """Return if the device is there.

        Raises:
            DeviceLost: it is not, until the process is started again.
        """
        if self._lost is not None:
            # A new one each time: an error that is raised again keeps every traceback.
            raise DeviceLost(str(self._lost)) from self._lost

    def submit(self, kind: Kind, rows: Rows, priority: Priority) -> Future[Embeddings]:
        """Queue `rows`; the future holds `(n, dim)`. Cancel it to leave the queue.

        Raises:
            TooLarge: the queue would not hold so many rows if it were empty.
            Overloaded: the queue is full.
            DeviceLost: the device is gone.
            Unavailable: the batcher is closed.
        """
        future: Future[Embeddings] = Future()
        self.check_device()
        if len(rows) > self._options.max_queued_rows:
            raise TooLarge(
                f"The request has {len(rows)} rows; "
                f"send at most {self._options.max_queued_rows} at a time."
            )
        with self._changed:
            if self._closing:
                raise Unavailable("The embedder is shutting down; try again shortly.")
            if kind not in self._encoders:
                raise Conflict("The model was unloaded.")
            if self._queued_rows + len(rows) > self._options.max_queued_rows:
                self._observer.overloaded()
                raise Overloaded("The embedder's queue is full.", retry_after_s=self._drain_s(kind))
            self._queued_rows += len(rows)
            request = _Request(kind, rows, future, time.perf_counter(), deadline.ends_at())
            self._queues[priority].append(request)
            self._changed.notify()
        future.add_done_callback(lambda done: self._drop(request) if done.cancelled() else None)
        return future

    def close(self) -> None:
        """Finish what is queued, then stop the thread."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        self._thread.join()

    def _drop(self, request: _Request) -> None:
        """Remove a cancelled request from its queue."""
        with self._changed:
            self._withdraw(lambda r: r is request)

    def _withdraw(self, is_chosen: Callable[[_Request], bool]) -> list[_Request]:
        """Take requests out of the queues. The caller holds the lock."""
        chosen = [r for queue in self._queues.values() for r in queue if is_chosen(r)]
        for priority, queue in self._queues.items():
            self._queues[priority] = deque(r for r in queue if r not in chosen)
        self._queued_rows -= sum(request.left for request in chosen)
        return chosen

    def _drain_s(self, kind: Kind) -> float:
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
            return self._take(queries, self._most_rows(queries[0].kind))
        self._queries_in_a_row = 0
        if not ingest:
            return []
        return self._take(ingest, self._ingest_rows(ingest[0].kind))

    def _most_rows(self, kind: Kind) -> int:
        return self._fitting_rows.get(kind, self._options.max_batch_size)

    def _ingest_rows(self, kind: Kind) -> int:
        # Before the first measurement a small batch is a safe guess.
        rate = self._rows_per_s.get(kind, 8 / self._options.ingest_batch_s)
        return max(1, min(self._most_rows(kind), int(rate * self._options.ingest_batch_s)))

    def _take(self, queue: deque[_Request], room: int) -> list[_Slice]:
        """Slices of the first kind in line, up to `room` rows.

        Requests that were cancelled or whose deadline has passed are dropped.
        """
        slices: list[_Slice] = []
        kind: Kind | None = None
        while queue and room > 0:
            request = queue[0]
            if kind is not None and request.kind != kind:
                break
            if request.taken == 0 and not _begin(request):
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
        count = sum(len(piece.rows) for piece in batch)
        started = time.perf_counter()
        try:
            embeddings = self._encode(kind, _stacked(batch))
            if not np.isfinite(embeddings).all():
                raise ArithmeticError("the model produced NaN or infinity")
        except Exception as error:  # the thread's edge: every waiter must be answered
            if len(batch) > 1 and not isinstance(error, (Unavailable, Conflict)):
                log.warning("batch failed; retrying each request alone", kind=kind, rows=count)
                self._run_apart(batch)
                return
            log.exception("batch failed", kind=kind, rows=count)
            self._fail(batch, error)
            return
        ended = time.perf_counter()
        self._learn_rate(kind, count, ended - started)
        oldest = min(piece.request.queued_at for piece in batch)
        self._deliver(batch, embeddings)
        self._observer.batch_done(kind, count, started - oldest, ended - started)

    def _run_apart(self, batch: Sequence[_Slice]) -> None:
        """Encode each request alone, so that only those at fault fail."""
        for piece in batch:
            # Done already: the device was lost meanwhile, and all requests failed.
            if not piece.request.future.done():
                self._run([piece])

    def _encode(self, kind: Kind, rows: Rows) -> Embeddings:
        """In one call, or in as many as it takes to fit the device."""
        if (encode := self._encoders.get(kind)) is None:
            raise Conflict("The model was unloaded.")
        try:
            with self.in_hand.doing("device call"):
                return encode(rows)
        except DeviceMemoryFull:
            half = len(rows) // 2
            if not half:
                raise
            self._fitting_rows[kind] = half
            log.warning("batch halved to fit the device", kind=kind, rows=half)
            return np.concatenate(
                [self._encode(kind, rows[:half]), self._encode(kind, rows[half:])]
            )

    def _learn_rate(self, kind: Kind, rows: int, seconds: float) -> None:
        rate = rows / max(seconds, 1e-6)
        self._rows_per_s[kind] = 0.7 * self._rows_per_s.get(kind, rate) + 0.3 * rate

    def _fail(self, batch: Sequence[_Slice], error: Exception) -> None:
        """Fail the requests of the batch, and all requests if the device is lost."""
        failure = error if isinstance(error, (Unavailable, Conflict)) else _failure(error)
        failed = [piece.request for piece in batch]
        is_lost = isinstance(error, DeviceLost)
        with self._changed:
            self._lost = error if isinstance(error, DeviceLost) else self._lost
            queued = self._withdraw(lambda request: is_lost or request in failed)
        for request in dict.fromkeys([*failed, *queued]):
            if request.taken or request.future.set_running_or_notify_cancel():
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


def _begin(request: _Request) -> bool:
    """Whether it is still waited for; if it is not, its future is done."""
    if not request.future.set_running_or_notify_cancel():
        return False
    if time.monotonic() < request.expires_at:
        return True
    request.future.set_exception(Unavailable("The embedder did not get to it in time."))
    return False


def _stacked(batch: Sequence[_Slice]) -> Rows:
    return batch[0].rows if len(batch) == 1 else np.concatenate([piece.rows for piece in batch])


def _failure(error: Exception) -> Unavailable:
    failure = Unavailable(f"The embedder failed on a batch: {error}")
    failure.__cause__ = error
    return failure
