"""Jobs from the outside: open one, add photos to it, seal it, ask what became of every item."""

import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from petsearch import chunks, object_keys
from petsearch.catalogue import Catalogue
from petsearch.errors import InvalidInput
from petsearch.model import (
    ImageMetadata,
    Item,
    ItemStatus,
    Job,
    Outcome,
    image_id_of,
    sha256_of,
)
from petsearch.observability import get_logger
from petsearch.ports import Index, JobLedger, ObjectStore, TaskQueue

log = get_logger(__name__)


@dataclass(frozen=True)
class Upload:
    """A photo as it came in, unchecked. `refusal` says why its bytes were not even read."""

    data: bytes
    metadata: ImageMetadata
    refusal: str | None = None


@dataclass(frozen=True)
class KnownImage:
    """A photo that the client has, by the SHA-256 of its bytes."""

    sha256: str
    metadata: ImageMetadata


class Jobs:
    """Takes photos in and hands them to the workers, a chunk per call."""

    def __init__(
        self,
        *,
        store: ObjectStore,
        ledger: JobLedger,
        queue: TaskQueue,
        index: Index,
        catalogue: Catalogue,
        clock: Callable[[], datetime],
    ) -> None:
        self._store = store
        self._ledger = ledger
        self._queue = queue
        self._index = index
        self._catalogue = catalogue
        self._clock = clock

    def open(self, source: str, *, expected: int | None = None) -> Job:
        """Open a job that takes items until it is sealed."""
        job_id = uuid.uuid4().hex
        self._ledger.create(job_id, source=source, created_at=self._clock(), expected=expected)
        return self._ledger.get(job_id)

    def get(self, job_id: str) -> Job:
        """The job; `NotFound` if there is none."""
        return self._ledger.get(job_id)

    def newest(self, limit: int) -> list[Job]:
        """Jobs, newest first."""
        return self._ledger.newest(limit)

    def add_photos(
        self, job_id: str, uploads: Iterable[Upload], count: int, *, key: str | None = None
    ) -> Job:
        """Stage the bytes, then queue them as one chunk. `uploads` is read one at a time.

        Args:
            key: of this call; repeated with the same one, the photos count once.

        Raises:
            InvalidInput: there is no photo.
            NotFound, Conflict: the job does not exist, or is sealed.
        """
        if not count:
            raise InvalidInput("There is no photo in the request; send at least one.")
        slot = self._ledger.reserve_chunk(job_id, count, key)
        if slot.is_added:
            return self._queue_again(job_id, slot.chunk_no)
        items = [
            self._stage(job_id, slot.first_item_no + offset, upload)
            for offset, upload in enumerate(uploads)
        ]
        return self._queue_chunk(job_id, slot.chunk_no, items)

    def add_known(
        self, job_id: str, images: Sequence[KnownImage], *, key: str | None = None
    ) -> list[int]:
        """Account those images that are indexed already; the positions of those that are not.

        What is said about a known image fills what its record does not say yet.

        Args:
            key: of this call; repeated with the same one, it answers the same.
        """
        collection = self._catalogue.current().collection
        found = self._index.get(collection, [image_id_of(image.sha256) for image in images])
        known = [image for image in images if image_id_of(image.sha256) in found]
        if known:
            slot = self._ledger.reserve_chunk(job_id, len(known), key)
            if slot.is_added:
                # More may be indexed by now: what counts is what was accounted then.
                self._queue_again(job_id, slot.chunk_no)
                accounted = chunks.read_chunk(self._store, job_id, slot.chunk_no)
                before = {item.sha256 for item in accounted}
                return [n for n, image in enumerate(images) if image.sha256 not in before]
            items = [
                Item(slot.first_item_no + offset, image.sha256, image.metadata, staging_key=None)
                for offset, image in enumerate(known)
            ]
            self._queue_chunk(job_id, slot.chunk_no, items)
        return [n for n, image in enumerate(images) if image_id_of(image.sha256) not in found]

    def seal(self, job_id: str) -> Job:
        """No more items: the job ends when all are accounted."""
        self._ledger.seal(job_id, self._clock())
        return self._ledger.get(job_id)

    def outcomes(self, job_id: str, status: ItemStatus | None) -> Iterator[Outcome]:
        """What became of the items so far, in order of their chunks."""
        self._ledger.get(job_id)
        for key in self._store.list_keys(object_keys.outcomes_prefix(job_id)):
            for outcome in chunks.read_outcomes(self._store, key):
                if status is None or outcome.status is status:
                    yield outcome

    def requeue_unfinished(self) -> int:
        """Queue again whatever was added and never accounted; how many chunks that were."""
        unfinished = self._ledger.unfinished_chunks()
        for job_id, chunk_no in unfinished:
            self._queue.enqueue_chunk(job_id, chunk_no)
        if unfinished:
            log.info("unfinished work queued again", chunks=len(unfinished))
        return len(unfinished)

    def _stage(self, job_id: str, item_no: int, upload: Upload) -> Item:
        if upload.refusal:
            return Item(item_no, "", upload.metadata, staging_key=None, refusal=upload.refusal)
        key = object_keys.staging(job_id, item_no)
        self._store.put(key, upload.data)
        return Item(item_no, sha256_of(upload.data), upload.metadata, staging_key=key)

    def _queue_chunk(self, job_id: str, chunk_no: int, items: Sequence[Item]) -> Job:
        chunks.write_chunk(self._store, job_id, chunk_no, items)
        self._ledger.add_chunk(job_id, chunk_no, len(items))
        return self._queue_again(job_id, chunk_no)

    def _queue_again(self, job_id: str, chunk_no: int) -> Job:
        # A repeated call does it, too: the first may have been cut off before.
        self._queue.enqueue_chunk(job_id, chunk_no)
        return self._ledger.get(job_id)
