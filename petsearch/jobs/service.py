"""Jobs that clients add photos to, and what became of every item of a job."""

import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import BinaryIO, Literal

from petsearch.domain import (
    ImageMetadata,
    Item,
    ItemStatus,
    Job,
    NewJob,
    OnDuplicate,
    Outcome,
    QueueName,
    image_id_of,
    object_keys,
    sha256_of,
)
from petsearch.domain.errors import Conflict, InvalidInput, PetsearchError
from petsearch.domain.metadata import safe_filename
from petsearch.jobs import chunk_files
from petsearch.jobs.dispatch import Dispatcher
from petsearch.models import Catalogue
from petsearch.ports import ChunkSlot, IndexReader, JobWriter, ObjectStore
from petsearch.sources import SourceContext, SourceSpec, open_source, parse_spec
from petsearch.sources.spec import describe


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


@dataclass(frozen=True)
class JobOptions:
    """How a job is ingested."""

    queue: QueueName = QueueName.BULK
    expected: int | None = None
    """How many items there will be, if that is known."""
    spec: str | None = None
    """JSON of a source that the workers read; None if the client adds the photos."""
    on_duplicate: OnDuplicate = OnDuplicate.MERGE


@dataclass(frozen=True)
class OutcomePage:
    """Outcomes in order, and the cursor of the next page."""

    outcomes: tuple[Outcome, ...]
    next_cursor: str | None


class Jobs:
    """Takes photos in and hands them to the workers, a chunk per call."""

    def __init__(
        self,
        *,
        store: ObjectStore,
        ledger: JobWriter,
        dispatcher: Dispatcher,
        index: IndexReader,
        catalogue: Catalogue,
        sources: SourceContext,
        clock: Callable[[], datetime],
    ) -> None:
        self._store = store
        self._sources = sources
        self._ledger = ledger
        self._dispatcher = dispatcher
        self._index = index
        self._catalogue = catalogue
        self._clock = clock

    def open(
        self, source: str, options: JobOptions | None = None, *, job_id: str | None = None
    ) -> Job:
        """Open a job. It takes photos until it is sealed, or its source is read by the workers."""
        options = options or JobOptions()
        job = NewJob(
            job_id=job_id or uuid.uuid4().hex,
            source=source,
            created_at=self._clock(),
            queue=options.queue,
            expected=options.expected,
            spec=options.spec,
            on_duplicate=options.on_duplicate,
        )
        self._ledger.create(job)
        if job.spec is not None:
            self._dispatcher.dispatch(job.job_id)
        return self._ledger.get(job.job_id)

    def read(self, spec: SourceSpec, options: JobOptions) -> Job:
        """Open a job whose photos the workers read from a source.

        Raises:
            InvalidInput: the source may not be read here; the message names the setting.
            NotFound: there is no such source.
        """
        open_source(spec, self._sources)
        return self.open(describe(spec), replace(options, spec=spec.model_dump_json()))

    def read_upload(
        self,
        kind: Literal["archive", "manifest"],
        filename: str,
        file: BinaryIO,
        size_bytes: int | None,
        options: JobOptions,
    ) -> Job:
        """Keep an uploaded archive or manifest and open the job that reads it.

        Raises:
            InvalidInput: it is no such file.
        """
        job_id = uuid.uuid4().hex
        key = object_keys.import_file(job_id, kind)
        self._store.put_stream(key, file, size_bytes)
        spec = parse_spec({"type": kind, "key": key})
        try:
            open_source(spec, self._sources)
        except PetsearchError:
            self._store.delete(key)
            raise
        options = replace(options, spec=spec.model_dump_json())
        return self.open(f"{kind} {safe_filename(filename)}"[:200], options, job_id=job_id)

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
            key: a call that is repeated with the same key and the same photos adds nothing twice.

        Raises:
            InvalidInput: there is no photo.
            NotFound, Conflict: the job does not exist, or is sealed or cancelled.
        """
        if not count:
            raise InvalidInput("There is no photo in the request; send at least one.")
        slot = self._ledger.reserve_chunk(job_id, count, key=key)
        if slot.is_added:
            return self._ledger.get(job_id)
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
        """
        collection = self._catalogue.collection()
        found = set(self._index.get(collection, [image_id_of(i.sha256) for i in images]))
        known = [image for image in images if image_id_of(image.sha256) in found]
        if known:
            slot = self._ledger.reserve_chunk(job_id, len(known), key=key)
            if slot.is_added:
                # What became known since the first call is still to be uploaded: it is not counted.
                items = chunk_files.read_chunk(self._store, job_id, slot.chunk_no)
                found = {image_id_of(item.sha256) for item in items}
            else:
                self._queue_chunk(job_id, slot.chunk_no, _known_items(slot, known))
        return [n for n, image in enumerate(images) if image_id_of(image.sha256) not in found]

    def seal(self, job_id: str) -> Job:
        """No more items: the job ends when all are accounted."""
        self._ledger.seal(job_id, self._clock())
        return self._ledger.get(job_id)

    def outcomes(
        self,
        job_id: str,
        status: ItemStatus | None,
        *,
        warned: bool | None = None,
        cursor: str | None = None,
        limit: int,
    ) -> OutcomePage:
        """What became of the items so far, in order of their chunks.

        Raises:
            InvalidInput: the cursor is none of ours.
        """
        job = self._ledger.get(job_id)
        chunk_no, skip = _read_cursor(cursor)
        page: list[Outcome] = []
        for number in self._chunks_with(job_id, status, chunk_no):
            wanted = [
                outcome
                for outcome in self._latest(job, number)
                if status in (None, outcome.status) and warned in (None, bool(outcome.warnings))
            ]
            start = skip if number == chunk_no else 0
            room = limit - len(page)
            page += wanted[start : start + room]
            if len(wanted) - start > room:
                return OutcomePage(tuple(page), f"{number}.{start + room}")
        return OutcomePage(tuple(page), None)

    def _chunks_with(self, job_id: str, status: ItemStatus | None, first: int) -> Iterator[int]:
        if status in (ItemStatus.REFUSED, ItemStatus.FAILED):
            numbers: Iterable[int] = self._ledger.problem_chunks(job_id)
        else:
            prefix = object_keys.outcomes_prefix(job_id)
            numbers = map(object_keys.chunk_no_of, self._store.list_keys(prefix))
        return (number for number in numbers if number >= first)

    def _latest(self, job: Job, chunk_no: int) -> list[Outcome]:
        """The outcomes of a chunk, less the failures that a later chunk tries again."""
        # None where nothing that can be read was in the chunk.
        outcomes = chunk_files.find_outcomes(self._store, job.job_id, chunk_no) or ()
        if job.first_retry is None or all(o.status is not ItemStatus.FAILED for o in outcomes):
            return list(outcomes)
        retried = self._retried_after(job.job_id, max(chunk_no + 1, job.first_retry))
        return [
            outcome
            for outcome in outcomes
            if outcome.status is not ItemStatus.FAILED or outcome.item_no not in retried
        ]

    def _retried_after(self, job_id: str, first: int) -> set[int]:
        """The items of all chunks from `first` on that count: not what a lost retry wrote."""
        keys = self._store.list_keys(object_keys.chunks_prefix(job_id))
        return {
            item.item_no
            for number in map(object_keys.chunk_no_of, keys)
            if number >= first and self._was_added(job_id, number)
            for item in chunk_files.read_chunk(self._store, job_id, number)
        }

    def _was_added(self, job_id: str, chunk_no: int) -> bool:
        # The ledger forgets the sizes some time after the end; what was worked on has outcomes.
        if self._ledger.chunk_size(job_id, chunk_no):
            return True
        return chunk_files.find_outcomes(self._store, job_id, chunk_no) is not None

    def _stage(self, job_id: str, item_no: int, upload: Upload) -> Item:
        if upload.refusal:
            return Item(item_no, "", upload.metadata, staging_key=None, refusal=upload.refusal)
        key = object_keys.staging(job_id, item_no)
        self._store.put(key, upload.data)
        digest, size = sha256_of(upload.data), len(upload.data)
        return Item(item_no, digest, upload.metadata, staging_key=key, size_bytes=size)

    def _queue_chunk(self, job_id: str, chunk_no: int, items: Sequence[Item]) -> Job:
        chunk_files.write_chunk(self._store, job_id, chunk_no, items)
        self._ledger.add_chunk(job_id, chunk_no, len(items))
        job = self._ledger.get(job_id)
        if job.cancelled:
            raise Conflict(f"The job {job_id!r} was cancelled.")
        self._dispatcher.dispatch(job_id)
        return job


def _known_items(slot: ChunkSlot, known: Sequence[KnownImage]) -> list[Item]:
    return [
        Item(slot.first_item_no + offset, image.sha256, image.metadata, staging_key=None)
        for offset, image in enumerate(known)
    ]


def _read_cursor(cursor: str | None) -> tuple[int, int]:
    chunk_no, _, skip = (cursor or "0.0").partition(".")
    if not all(part.isascii() and part.isdigit() for part in (chunk_no, skip)):
        raise InvalidInput("The cursor is not one this server gave out; start without a cursor.")
    return int(chunk_no), int(skip)
