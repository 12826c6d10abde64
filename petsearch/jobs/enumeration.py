"""Reads the source of a job, a window of chunks at a time, and goes on where it was cut off.

The cursor is stored with the chunk it leads to, in one step: a source is read twice at most from
the last chunk on, and no item is added twice.
"""

import threading
import uuid
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from functools import partial
from time import monotonic

from petsearch.domain import Item, object_keys, sha256_of
from petsearch.domain.errors import ConfigurationError, InvalidInput, NotFound, Unavailable
from petsearch.jobs import chunk_files
from petsearch.jobs.circuit_breaker import DependencyGate
from petsearch.jobs.dispatch import Dispatcher
from petsearch.jobs.leases import Lease, LeaseKeeper
from petsearch.observability import get_logger
from petsearch.ports import Enumeration, EnumerationLedger, ObjectStore
from petsearch.sources import Source, SourceItem

log = get_logger(__name__)

CHUNK_ITEMS = 64
CHUNK_BYTES = 64 * 1024 * 1024
LONGEST_RUN_S = 60.0
"""After so long the reading is queued again, so that others come to their turn."""

_MOST_KEPT = 4
"""Readings that are left open between two windows, in this process."""

OpenSource = Callable[[str], Source]
"""Opens a source by the JSON of its specification."""


class Enumerator:
    """Turns sources into chunks. Safe to call from several threads at once."""

    def __init__(
        self,
        *,
        open_source: OpenSource,
        store: ObjectStore,
        ledger: EnumerationLedger,
        dispatcher: Dispatcher,
        gate: DependencyGate,
        leases: LeaseKeeper,
        stopping: threading.Event,
        clock: Callable[[], datetime],
    ) -> None:
        self._open_source = open_source
        self._store = store
        self._ledger = ledger
        self._dispatcher = dispatcher
        self._gate = gate
        self._leases = leases
        self._stopping = stopping
        self._clock = clock
        self._keeping = threading.Lock()
        self._kept: dict[str, tuple[str, Iterator[Sequence[SourceItem]]]] = {}

    def work(self, job_id: str) -> None:
        """Read on until the window is full, the source ends, or the job is stopped."""
        holder, lease_s = uuid.uuid4().hex, self._leases.lease_s
        most_open = self._dispatcher.options.most_open
        begun = self._ledger.begin_enumeration(job_id, holder, lease_s, most_open)
        if begun is None:
            return
        extend = partial(self._ledger.extend_enumeration, job_id, holder, lease_s)
        with self._leases.keep(extend) as lease:
            try:
                self._read(job_id, begun, lease)
            except (InvalidInput, NotFound, ConfigurationError) as error:
                log.error("source cannot be read", reason=error.detail)
                self._ledger.fail(job_id, error.detail, self._clock())
            except Unavailable as error:
                self._ledger.set_reason(job_id, error.detail)
                self._gate.wait(error, give_up=lambda: lease.is_lost)
                self._ledger.set_reason(job_id, None)
            finally:
                self._ledger.end_enumeration(job_id, holder)
        self._dispatcher.dispatch(job_id)
        self._dispatcher.discard_if_cancelled(job_id)

    def _read(self, job_id: str, begun: Enumeration, lease: Lease) -> None:
        chunk_no, item_no = begun.next.chunk_no, begun.next.first_item_no
        started = monotonic()
        batches = self._batches_from(job_id, begun)
        for batch in batches:
            items = [self._item(job_id, item_no + n, entry) for n, entry in enumerate(batch)]
            chunk_files.write_chunk(self._store, job_id, chunk_no, items)
            if not self._ledger.add_chunk(job_id, chunk_no, len(items), cursor=batch[-1].cursor):
                return  # another worker took over, or the job was cancelled
            chunk_no, item_no = chunk_no + 1, item_no + len(items)
            self._dispatcher.dispatch(job_id)
            if self._should_stop(job_id, lease, started):
                self._keep(job_id, batch[-1].cursor, batches)
                return
        self._ledger.seal(job_id, self._clock())

    def _batches_from(self, job_id: str, begun: Enumeration) -> Iterator[Sequence[SourceItem]]:
        with self._keeping:
            kept = self._kept.pop(job_id, None)
        if kept is not None and kept[0] == begun.cursor:
            return kept[1]
        source = self._open_source(begun.spec)
        if begun.cursor is None:
            expected = source.count()
            if expected is not None:
                self._ledger.set_expected(job_id, expected)
        return _batches(source.read(begun.cursor))

    def _keep(self, job_id: str, cursor: str, batches: Iterator[Sequence[SourceItem]]) -> None:
        """Leave a reading open: a packed tar would have to be unpacked from its start again."""
        with self._keeping:
            self._kept[job_id] = (cursor, batches)
            while len(self._kept) > _MOST_KEPT:
                self._kept.pop(next(iter(self._kept)))

    def _should_stop(self, job_id: str, lease: Lease, started: float) -> bool:
        return (
            self._stopping.is_set()
            or lease.is_lost
            or monotonic() - started > LONGEST_RUN_S
            or self._ledger.is_stopped(job_id)
            or not self._ledger.has_room(job_id, self._dispatcher.options.most_open)
        )

    def _item(self, job_id: str, item_no: int, entry: SourceItem) -> Item:
        if entry.refusal is not None or entry.data is None:
            return Item(
                item_no,
                "",
                entry.metadata,
                staging_key=None,
                refusal=entry.refusal,
                origin=entry.origin,
                size_bytes=entry.size_bytes,
            )
        key = object_keys.staging(job_id, item_no)
        self._store.put(key, entry.data)
        return Item(
            item_no,
            sha256_of(entry.data),
            entry.metadata,
            staging_key=key,
            size_bytes=len(entry.data),
        )


def _batches(entries: Iterator[SourceItem]) -> Iterator[Sequence[SourceItem]]:
    """Entries a chunk at a time: few enough to be done soon, and to be held in memory."""
    batch: list[SourceItem] = []
    size = 0
    for entry in entries:
        batch.append(entry)
        size += len(entry.data or b"")
        if len(batch) == CHUNK_ITEMS or size >= CHUNK_BYTES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch
