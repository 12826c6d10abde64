"""Prepares items in threads: fetches and decodes them, and stores their copies.

Every step may be repeated.
"""

import shutil
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, tzinfo
from itertools import islice, takewhile
from tempfile import TemporaryFile
from typing import BinaryIO, TypeVar, cast

from petsearch.domain import Item, ItemStatus, Outcome, Pixels, image_id_of, object_keys, sha256_of
from petsearch.domain.capture import Capture
from petsearch.domain.errors import DecoderLost, InvalidInput, NotFound, Unavailable, shortage_of
from petsearch.ingest.outcomes import DELETED, failed_outcome, outcome_of
from petsearch.models import Target
from petsearch.photos import Budget, Decoders, Encoded
from petsearch.photos.copies import Copies
from petsearch.ports import IndexWriter, IngestObserver, ObjectStore, Stage, timed, tombstones
from petsearch.process_tuning import lower_thread_priority
from petsearch.sources import Fetcher, url_list

ENCODED_BYTES = 32_000_000
"""Encoded files that all threads together hold in memory."""
LARGE_BYTES = 8_000_000
"""A larger file is decoded from disk: memory does not fit it together with its pixels."""
_UNKNOWN_BYTES = 8_000_000
"""The assumed size of an item whose size is not known."""
_THREADS_PER_PROCESS = 2
"""Threads, of which as many as there are processes have a photo decoded at a time."""
_LOOK_S = 1.0
"""How often a batch that takes long looks whether its job was stopped."""

_T = TypeVar("_T")


@dataclass(frozen=True)
class IngestOptions:
    """Batch size, parallelism and limits of ingest, and what it takes for granted."""

    batch_size: int
    """Photos embedded in one call."""
    decoders: Decoders
    zone: tzinfo = UTC
    """Of dates that name none."""


@dataclass(frozen=True)
class Prepared:
    """A decoded item, ready to be embedded. Its original and its copies are stored."""

    item: Item
    pixels: Pixels
    width: int
    height: int
    content_type: str
    grey: bytes
    """The pixels for its perceptual hash."""
    capture: Capture


@dataclass(frozen=True)
class AlreadyIndexed:
    """A fetched item whose image is in the index."""

    item: Item


Preparation = Prepared | AlreadyIndexed | Outcome


class _Failed(Exception):
    """A step failed, because of `cause`."""

    def __init__(self, stage: Stage, cause: Exception) -> None:
        super().__init__(str(cause))
        self.stage = stage
        self.cause = cause


class Preparer:
    """Prepares items in a pool of threads. Thread-safe.

    Args:
        fetcher: fetches items that have an origin instead of staged bytes.
    """

    def __init__(
        self,
        *,
        store: ObjectStore,
        index: IndexWriter,
        options: IngestOptions,
        fetcher: Fetcher,
        observer: IngestObserver,
        clock: Callable[[], datetime],
    ) -> None:
        self._clock = clock
        self._store = store
        self._index = index
        self._decoders = options.decoders
        self._fetcher = fetcher
        self._observer = observer
        self._encoded = Budget(ENCODED_BYTES)
        # While one thread reads and stores files, another has its photo decoded.
        threads = _THREADS_PER_PROCESS * options.decoders.processes
        # Each thread takes half its share of a batch at a time: the thread that waits for a batch
        # is woken rarely, and each wake-up takes the interpreter lock from another thread.
        self._share = max(1, options.batch_size // (2 * threads))
        self._shares_per_batch = options.batch_size // self._share
        self._shares_ahead = self._shares_per_batch + threads
        self._threads = ThreadPoolExecutor(
            threads, thread_name_prefix="decode", initializer=lower_thread_priority
        )

    def close(self) -> None:
        """Stop the threads."""
        self._threads.shutdown(wait=True, cancel_futures=True)

    def prepare(self, item: Item, target: Target) -> Preparation:
        """Prepare one item, in a thread of the pool.

        Raises:
            Unavailable: a dependency fails, which is not the item's fault.
        """
        return self._threads.submit(self._prepare, item, target).result()

    def batches(
        self, items: Sequence[Item], target: Target, should_stop: Callable[[], bool]
    ) -> Iterator[list[Preparation]]:
        """Prepare items a batch at a time, the next ones while the caller works on a batch.

        Raises:
            Unavailable: see `prepare`.
        """
        waiting = iter(items)
        shares = iter(lambda: list(islice(waiting, self._share)), [])
        futures: deque[Future[list[Preparation]]] = deque()
        leaving = threading.Event()
        try:
            while True:
                for share in islice(shares, self._shares_ahead - len(futures)):
                    futures.append(self._threads.submit(self._prepare_all, share, target, leaving))
                if not futures or should_stop():
                    return
                count = min(self._shares_per_batch, len(futures))
                if not _are_ready(list(islice(futures, count)), should_stop):
                    # What is done is not lost, or slow photos would be begun again for ever.
                    leaving.set()
                    yield [
                        one for future in futures if not future.cancel() for one in future.result()
                    ]
                    return
                yield [one for _ in range(count) for one in futures.popleft().result()]
        finally:
            leaving.set()
            for future in futures:
                future.cancel()

    def _prepare_all(
        self, items: Sequence[Item], target: Target, leaving: threading.Event
    ) -> list[Preparation]:
        wanted = takewhile(lambda _: not leaving.is_set(), items)
        return [self._prepare(item, target) for item in wanted]

    def _prepare(self, item: Item, target: Target) -> Preparation:
        try:
            if item.sha256 and (item.size_bytes or 0) > LARGE_BYTES:
                return self._prepare_from_disk(item, target)
            return self._prepare_in_memory(item, target)
        except _Failed as failure:
            stage, error = failure.stage, failure.cause
        if isinstance(error, NotFound) and stage is not Stage.INDEX:
            return self._without_bytes(item, target)
        # What the index rejects is no fault of the file.
        if isinstance(error, InvalidInput) and stage is not Stage.INDEX:
            return outcome_of(item, ItemStatus.REFUSED, error.detail)
        if isinstance(error, Unavailable) and not _is_of_the_item(item, stage, error):
            raise error
        return failed_outcome(item, stage, error)

    def _prepare_in_memory(self, item: Item, target: Target) -> Prepared | AlreadyIndexed:
        with self._encoded.spend(item.size_bytes or _UNKNOWN_BYTES):
            with self._step(Stage.FETCH):
                data = self._fetch(item)
            if not item.sha256:
                item = replace(item, sha256=sha256_of(data), size_bytes=len(data))
                with self._step(Stage.INDEX):
                    image_id = image_id_of(item.sha256)
                    if self._index.get(target.collection, [image_id]):
                        return AlreadyIndexed(item)
                    tombstones.wait_for_delete(self._store, image_id, self._clock())
            return self._decode_and_store(item, data, data, target)

    def _prepare_from_disk(self, item: Item, target: Target) -> Prepared:
        with self._step(Stage.FETCH):
            opened = self._read_stored(item, self._local_file)
        with opened as file:
            return self._decode_and_store(item, file, None, target)

    def _decode_and_store(
        self, item: Item, encoded: Encoded, data: bytes | None, target: Target
    ) -> Prepared:
        with self._step(Stage.DECODE):
            prepared, copies = self._decode(item, encoded, target)
        image_id = image_id_of(item.sha256)
        with self._step(Stage.STORE):
            self._store_original(item, data, image_id)
            self._store.put(object_keys.display(image_id), copies.display)
            self._store.put(object_keys.thumbnail(image_id), copies.thumbnail)
        return prepared

    def _decode(self, item: Item, encoded: Encoded, target: Target) -> tuple[Prepared, Copies]:
        pixels, photo = self._decoders.pixels_and_copies(encoded, target.model.pixel_spec)
        prepared = Prepared(
            replace(item, warnings=(*item.warnings, *photo.warnings)),
            pixels,
            photo.width,
            photo.height,
            photo.content_type,
            photo.copies.grey,
            photo.capture,
        )
        return prepared, photo.copies

    @contextmanager
    def _step(self, stage: Stage) -> Iterator[None]:
        """Time a step, and record in which one an item failed: a thread's edge."""
        try:
            with timed(self._observer, stage):
                yield
        except Exception as error:
            raise _Failed(stage, shortage_of(error) or error) from error

    def _fetch(self, item: Item) -> bytes:
        if item.staging_key is not None or item.origin is None:
            return self._read_stored(item, self._store.get)
        try:
            return self._fetcher.fetch(item.origin, max_bytes=self._decoders.limits.max_bytes)
        except NotFound as error:
            raise InvalidInput(error.detail) from error

    def _read_stored(self, item: Item, read: Callable[[str], _T]) -> _T:
        """Read staged bytes, or the original to which an interrupted run has moved them."""
        if item.staging_key is not None:
            with suppress(NotFound):
                return read(item.staging_key)
        return read(object_keys.original(image_id_of(item.sha256)))

    def _without_bytes(self, item: Item, target: Target) -> Outcome:
        """Determine whether an item has no bytes because its image was deleted.

        Staged bytes are also deleted with cancelled jobs, so for an upload only a tombstone proves
        it. Any other item's image was indexed or stored when it was queued.
        """
        image_id = image_id_of(item.sha256)
        if tombstones.version(self._store, image_id) is not None or (
            item.staging_key is None and not self._index.get(target.collection, [image_id])
        ):
            return outcome_of(item, ItemStatus.DUPLICATE, DELETED)
        reason = "Its bytes are no longer stored; upload it again."
        return outcome_of(item, ItemStatus.REFUSED, reason)

    def _local_file(self, key: str) -> AbstractContextManager[BinaryIO]:
        """Open an object as a seekable file."""
        if self._store.local_path(key) is not None:
            return self._store.open(key)
        with self._store.open(key) as stream:
            file = TemporaryFile()  # noqa: SIM115  # the caller closes it
            shutil.copyfileobj(stream, file)
        return cast(AbstractContextManager[BinaryIO], file)

    def _store_original(self, item: Item, data: bytes | None, image_id: str) -> None:
        if item.origin is not None and data is not None:
            self._store.put(object_keys.original(image_id), data)
        elif item.staging_key is not None:
            try:
                self._store.move(item.staging_key, object_keys.original(image_id))
            except NotFound:
                self._store.stat(object_keys.original(image_id))


def _is_of_the_item(item: Item, stage: Stage, error: Unavailable) -> bool:
    """Whether other items may go on: its own server is down, or its decoder was ended."""
    return isinstance(error, DecoderLost) or (stage is Stage.FETCH and _is_remote(item))


def _are_ready(futures: Sequence[Future[_T]], should_stop: Callable[[], bool]) -> bool:
    """Wait for all results, or the first error; false if `should_stop` meanwhile."""
    while True:
        found = wait(futures, timeout=_LOOK_S, return_when=FIRST_EXCEPTION)
        if not found.not_done or any(future.exception() for future in found.done):
            return True
        if should_stop():
            return False


def _is_remote(item: Item) -> bool:
    """Whether the bytes are on another site's server, whose outages are not waited for."""
    return item.origin is not None and item.origin.startswith(f"{url_list.SCHEME}:")
