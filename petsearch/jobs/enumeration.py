"""Enumerates the source of a job into chunks, a window at a time, from a stored cursor.

A chunk and the cursor after it are stored in one step: after an interruption the source is read
again from the last chunk, and no item is added twice.
"""

import threading
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from time import monotonic

from petsearch.domain import (
    MOST_LEFT_OUT_NAMES,
    Item,
    LeftOut,
    LeftOutReason,
    object_keys,
    sha256_of,
)
from petsearch.domain.errors import (
    ConfigurationError,
    Conflict,
    InvalidInput,
    NotFound,
    ReaderLost,
    Unavailable,
    shortage_of,
)
from petsearch.jobs import chunk_files
from petsearch.jobs.circuit_breaker import CircuitBreaker
from petsearch.jobs.dispatch import Dispatcher
from petsearch.jobs.leases import Lease, LeaseKeeper
from petsearch.observability import get_logger
from petsearch.ports import Enumeration, EnumerationLedger, ObjectStore
from petsearch.sources import Source, SourceItem

log = get_logger(__name__)

CHUNK_ITEMS = 64
CHUNK_BYTES = 64 * 1024 * 1024
MAX_RUN_S = 60.0
"""An enumeration that takes longer is queued again, so that other tasks get their turn."""

_MOST_DEATHS = 3
"""Workers that may end while they read on from one cursor; chunks are given up as early."""

_NAMELESS = {reason: LeftOut("", reason) for reason in LeftOutReason}
"""Of those that are only counted: an archive may have millions before its first photo."""

_MAX_OPEN = 4
"""Sources that this process keeps open between two windows."""

OpenSource = Callable[[str], Source]
"""Opens the source of a specification, given as JSON."""


@dataclass(frozen=True)
class Batch:
    """Entries of a source that become a chunk, and what was left out before and between them."""

    entries: Sequence[SourceItem]
    """None of them in the last batch, if the source ends with what is left out."""
    left_out: Sequence[LeftOut]


Batches = Iterator[Batch]


@dataclass(frozen=True, kw_only=True)
class Enumerator:
    """Turns sources into chunks. Thread-safe."""

    open_source: OpenSource
    store: ObjectStore
    ledger: EnumerationLedger
    dispatcher: Dispatcher
    breaker: CircuitBreaker
    leases: LeaseKeeper
    stopping: threading.Event
    clock: Callable[[], datetime]
    _open: dict[str, tuple[str, Batches]] = field(default_factory=dict, init=False)
    """The batches of an open source and its cursor, by job."""
    _opening: threading.Lock = field(default_factory=threading.Lock, init=False)

    def work(self, job_id: str) -> None:
        """Add chunks until the window is full, the source ends, or the job is stopped."""
        holder, lease_s = uuid.uuid4().hex, self.leases.lease_s
        most_open = self.dispatcher.options.most_open
        begun = self.ledger.begin_enumeration(job_id, holder, lease_s, most_open)
        if begun is None:
            return
        extend = partial(self.ledger.extend_enumeration, job_id, holder, lease_s)
        is_dead = False
        with self.leases.keep(extend) as lease:
            try:
                _check_deaths(begun)
                self._enumerate(job_id, begun, lease)
                self.ledger.set_reason(job_id, None)
            except (InvalidInput, NotFound, ConfigurationError) as error:
                log.error("source failed", reason=error.detail)
                self.ledger.fail(job_id, error.detail, self.clock())
            except ReaderLost as error:
                # Like the death of this process: the reading ends with its lease, and is counted.
                is_dead = True
                self.ledger.set_reason(job_id, error.detail)
            except (Unavailable, Conflict) as error:
                self._wait(job_id, error, lease)
            except Exception as error:  # a task's edge: it would be read again for ever
                log.exception("source failed")
                if (shortage := shortage_of(error)) is not None:
                    self._wait(job_id, shortage, lease)
                else:
                    self.ledger.fail(job_id, _unexpected(error), self.clock())
            finally:
                if lease.is_lost or self.stopping.is_set():
                    self.ledger.clear_deaths(job_id)
                if not is_dead:
                    self.ledger.end_enumeration(job_id, holder)
        self.dispatcher.dispatch(job_id)
        self.dispatcher.discard_if_cancelled(job_id)

    def _wait(self, job_id: str, error: Unavailable | Conflict, lease: Lease) -> None:
        self.ledger.set_reason(job_id, error.detail)
        self.ledger.clear_deaths(job_id)
        self.breaker.wait(error, give_up=lambda: lease.is_lost)

    def _enumerate(self, job_id: str, begun: Enumeration, lease: Lease) -> None:
        chunk_no, item_no = begun.next.chunk_no, begun.next.first_item_no
        gps = self.ledger.get(job_id).gps
        started = monotonic()
        batches = self._batches(job_id, begun)
        last_left_out: Sequence[LeftOut] = ()
        for batch in batches:
            if not batch.entries:
                last_left_out = batch.left_out
                break
            items = [
                self._stage(job_id, number, _with_place(entry) if gps else entry)
                for number, entry in enumerate(batch.entries, item_no)
            ]
            chunk_files.write_chunk(self.store, job_id, chunk_no, items)
            cursor = batch.entries[-1].cursor
            if not self.ledger.add_chunk(
                job_id, chunk_no, len(items), cursor=cursor, left_out=batch.left_out
            ):
                return  # another worker took over, or the job was cancelled
            chunk_no, item_no = chunk_no + 1, item_no + len(items)
            self.dispatcher.dispatch(job_id)
            if self._should_stop(job_id, lease, started):
                self._keep_open(job_id, cursor, batches)
                return
        self.ledger.seal(job_id, self.clock(), last_left_out)

    def _batches(self, job_id: str, begun: Enumeration) -> Batches:
        with self._opening:
            cursor, batches = self._open.pop(job_id, (None, iter(())))
        if cursor is not None and cursor == begun.cursor:
            return batches
        source = self.open_source(begun.spec)
        if begun.cursor is None and (expected := source.count()) is not None:
            self.ledger.set_expected(job_id, expected)
        return _batched(source.read(begun.cursor))

    def _keep_open(self, job_id: str, cursor: str, batches: Batches) -> None:
        """Keep a source open: a compressed tar would have to be unpacked from its start again."""
        with self._opening:
            self._open[job_id] = (cursor, batches)
            while len(self._open) > _MAX_OPEN:
                self._open.pop(next(iter(self._open)))

    def _should_stop(self, job_id: str, lease: Lease, started: float) -> bool:
        return (
            self.stopping.is_set()
            or lease.is_lost
            or monotonic() - started > MAX_RUN_S
            or self.ledger.is_stopped(job_id)
            or not self.ledger.has_room(job_id, self.dispatcher.options.most_open)
        )

    def _stage(self, job_id: str, item_no: int, entry: SourceItem) -> Item:
        """Make the item of an entry, and stage the bytes that the entry has."""
        if entry.refusal is not None or entry.data is None:
            sha256, key, size = "", None, entry.size_bytes
        else:
            sha256, size = sha256_of(entry.data), len(entry.data)
            key = object_keys.staging(job_id, item_no)
            self.store.put(key, entry.data)
        return Item(
            item_no,
            sha256,
            entry.metadata,
            key,
            entry.refusal,
            entry.origin,
            size,
            entry.warnings,
        )


def _check_deaths(begun: Enumeration) -> None:
    """Give up a source that ends its readers.

    Raises:
        InvalidInput: it did so too often.
    """
    if begun.deaths >= _MOST_DEATHS:
        raise InvalidInput(
            f"{begun.deaths} workers stopped while reading this source, none of them reaching "
            "another photo. It is not read any further; send the rest in another form."
        )


def _unexpected(error: Exception) -> str:
    return (
        f"The source cannot be read: an unexpected error ({type(error).__name__}). "
        "It is not read any further; the log of the worker has the details."
    )


def _with_place(entry: SourceItem) -> SourceItem:
    place = entry.metadata.location or entry.sidecar_location
    return replace(entry, metadata=replace(entry.metadata, location=place))


def _batched(entries: Iterator[SourceItem | LeftOut]) -> Batches:
    """Group entries into chunks, which are processed quickly and fit into memory."""
    batch: list[SourceItem] = []
    left_out: list[LeftOut] = []
    size = 0
    for entry in entries:
        if isinstance(entry, LeftOut):
            has_name = len(left_out) < MOST_LEFT_OUT_NAMES
            left_out.append(entry if has_name else _NAMELESS[entry.reason])
            continue
        batch.append(entry)
        size += len(entry.data or b"")
        if len(batch) == CHUNK_ITEMS or size >= CHUNK_BYTES:
            yield Batch(batch, left_out)
            batch, left_out, size = [], [], 0
    if batch:
        yield Batch(batch, left_out)
        left_out = []
    if left_out:
        yield Batch((), left_out)
