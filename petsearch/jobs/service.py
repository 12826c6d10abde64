"""Jobs as clients see them: open one, add photos, change its course, list its outcomes."""

import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import BinaryIO, Literal

from petsearch.domain import (
    ImageMetadata,
    Item,
    ItemStatus,
    Job,
    JobOptions,
    NewJob,
    image_id_of,
    object_keys,
    sha256_of,
)
from petsearch.domain.errors import Conflict, InvalidInput, NotFound, PetsearchError
from petsearch.domain.metadata import safe_filename
from petsearch.jobs import chunk_files
from petsearch.jobs.dispatch import Dispatcher
from petsearch.jobs.outcomes import OutcomePage, OutcomeReader
from petsearch.jobs.stored_specs import record_spec
from petsearch.models import Catalogue
from petsearch.ports import CallKey, IndexReader, JobLedger, ObjectStore, TaskQueue
from petsearch.sources import SourceContext, SourceSpec, open_source, parse_spec
from petsearch.sources.spec import describe
from petsearch.tables import Columns

_RETRY_ITEMS = 64
_NO_PHOTO = "There is no photo in the request; send at least one."


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


@dataclass(frozen=True, kw_only=True)
class Jobs:
    """Takes photos in and hands them to the workers, a chunk per call."""

    store: ObjectStore
    ledger: JobLedger
    queue: TaskQueue
    dispatcher: Dispatcher
    index: IndexReader
    catalogue: Catalogue
    sources: SourceContext
    clock: Callable[[], datetime]

    def open(
        self,
        source: str,
        options: JobOptions | None = None,
        *,
        job_id: str | None = None,
        spec: str | None = None,
    ) -> Job:
        """Open a job. It takes photos until it is sealed, or its source is read by the workers.

        Args:
            spec: JSON of a source that the workers read; None if the client adds the photos.
        """
        job_id = self._create(source, options or JobOptions(), job_id=job_id, spec=spec)
        if spec is not None:
            self.dispatcher.dispatch(job_id)
        return self.ledger.get(job_id)

    def read(self, spec: SourceSpec, options: JobOptions) -> Job:
        """Open a job whose photos the workers read from a source.

        Raises:
            InvalidInput: the source may not be read here; the message names the setting.
            NotFound: there is no such source.
        """
        job_id = uuid.uuid4().hex
        return self._open_source(job_id, describe(spec), spec, options)

    def read_upload(
        self,
        kind: Literal["archive", "manifest"],
        filename: str,
        file: BinaryIO,
        size_bytes: int | None,
        options: JobOptions,
        columns: Columns | None = None,
    ) -> Job:
        """Keep an uploaded archive or manifest and open the job that reads it.

        Args:
            columns: what columns of a manifest mean; see `ManifestSpec`.

        Raises:
            InvalidInput: it is no such file, or a column means nothing.
        """
        job_id = uuid.uuid4().hex
        key = object_keys.import_file(job_id, kind)
        spec = parse_spec({"type": kind, "key": key} | ({"columns": columns} if columns else {}))
        self.store.put_stream(key, file, size_bytes)
        return self._open_source(job_id, f"{kind} {safe_filename(filename)}"[:200], spec, options)

    def get(self, job_id: str) -> Job:
        """The job; `NotFound` if there is none."""
        return self.ledger.get(job_id)

    def newest(self, limit: int) -> list[Job]:
        """Jobs, newest first."""
        return self.ledger.newest(limit)

    def add_photos(
        self, job_id: str, uploads: Iterable[Upload], count: int, *, call: CallKey | None = None
    ) -> Job:
        """Stage the bytes, then queue them as one chunk. `uploads` is read one at a time.

        Args:
            call: one that is repeated adds nothing twice.

        Raises:
            InvalidInput: there is no photo, or the call's key came with other photos before.
            NotFound, Conflict: the job does not exist, or is sealed or cancelled.
        """
        if not count:
            raise InvalidInput(_NO_PHOTO)
        slot = self.ledger.reserve_chunk(job_id, count, call=call)
        if slot.is_added:
            return self.ledger.get(job_id)
        items = self._stage(job_id, slot.first_item_no, uploads)
        return self._queue_chunk(job_id, slot.chunk_no, items)

    def take_in(
        self, source: str, uploads: Iterable[Upload], count: int, options: JobOptions
    ) -> Job:
        """Open a job of these photos alone, which is cancelled if they cannot be added.

        Raises:
            InvalidInput: there is no photo.
        """
        if not count:
            raise InvalidInput(_NO_PHOTO)
        job_id = self._create(source, options, first_chunk_items=count)
        try:
            items = self._stage(job_id, 0, uploads)
            return self._queue_chunk(job_id, 0, items, is_last=True)
        except PetsearchError:
            with suppress(PetsearchError):  # the sweep seals it later
                self.cancel(job_id)
            raise

    def add_known(
        self, job_id: str, images: Sequence[KnownImage], *, call: CallKey | None = None
    ) -> list[int]:
        """Account those images that are indexed already; the positions of those that are not.

        What is said about a known image fills what its record does not say yet.
        """
        if (collection := self.catalogue.any_collection()) is None:
            return [*range(len(images))]
        found = self.index.known_ids(collection, [image_id_of(i.sha256) for i in images])
        known = [image for image in images if image_id_of(image.sha256) in found]
        if known:
            slot = self.ledger.reserve_chunk(job_id, len(known), call=call)
            if slot.is_added:
                # What became known since the first call is still to be uploaded: it is not counted.
                counted = chunk_files.read_chunk(self.store, job_id, slot.chunk_no)
                found = {image_id_of(item.sha256) for item in counted}
            else:
                items = [
                    Item(item_no, image.sha256, image.metadata, staging_key=None)
                    for item_no, image in enumerate(known, slot.first_item_no)
                ]
                self._queue_chunk(job_id, slot.chunk_no, items)
        return [n for n, image in enumerate(images) if image_id_of(image.sha256) not in found]

    def seal(self, job_id: str) -> Job:
        """No more items: the job ends when all are accounted."""
        self.ledger.seal(job_id, self.clock())
        return self.ledger.get(job_id)

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
        reader = OutcomeReader(self.store, self.ledger, self.ledger.get(job_id))
        return reader.page(status, warned=warned, cursor=cursor, limit=limit)

    def pause(self, job_id: str) -> Job:
        """Stop a job until it is resumed; `Conflict` if it has ended."""
        self.ledger.pause(job_id)
        return self.ledger.get(job_id)

    def resume(self, job_id: str) -> Job:
        """Go on with a paused job; `Conflict` if it has ended."""
        self.ledger.resume(job_id)
        self.dispatcher.dispatch(job_id)
        return self.ledger.get(job_id)

    def cancel(self, job_id: str) -> Job:
        """End a job. What was ingested stays; `Conflict` if it has ended."""
        self.ledger.cancel(job_id, self.clock())
        self.dispatcher.discard_if_cancelled(job_id)
        return self.ledger.get(job_id)

    def retry(self, job_id: str) -> Job:
        """Run the failed items of an ended job again.

        Raises:
            Conflict: the job has not ended or was cancelled, no item failed, or another call
                retries it already.
        """
        job = self.ledger.get(job_id)
        if job.finished_at is None or job.cancelled:
            raise Conflict(f"The job {job_id!r} is {job.state.value}; retry it when it ended.")
        failed = OutcomeReader(self.store, self.ledger, job).failed_items()
        if not failed.items:
            raise Conflict(f"No item of the job {job_id!r} failed.")
        sizes: dict[int, int] = {}
        for start in range(0, len(failed.items), _RETRY_ITEMS):
            items = failed.items[start : start + _RETRY_ITEMS]
            chunk_no = self.ledger.reserve_retry(job_id)
            chunk_files.write_chunk(self.store, job_id, chunk_no, items)
            sizes[chunk_no] = len(items)
        self._reopen(job_id, sizes, failed.warned)
        self.dispatcher.dispatch(job_id)
        return self.ledger.get(job_id)

    def delete(self, job_id: str) -> None:
        """Delete an ended job and what it left in the store; its images stay.

        Raises:
            Conflict: it has not ended; cancel it first.
        """
        job = self.ledger.get(job_id)
        if job.finished_at is None:
            raise Conflict(
                f"The job {job_id!r} was cancelled, and its workers have not let go of it yet; "
                "ask again in a moment."
                if job.cancelled
                else f"The job {job_id!r} has not ended; cancel it first."
            )
        self.ledger.delete(job_id)
        self.queue.enqueue_discard(job_id)

    def discard(self, job_id: str) -> None:
        """Delete the staged bytes of a cancelled job, and all objects of a deleted one.

        All of one that is deleted meanwhile, too.
        """
        job = self._find(job_id)
        if job is not None and not job.cancelled:
            return
        for prefix in (object_keys.staging_prefix(job_id), object_keys.imports_prefix(job_id)):
            self._delete_objects(prefix)
        if job is None or self._find(job_id) is None:
            self._delete_objects(object_keys.job_prefix(job_id))

    def _find(self, job_id: str) -> Job | None:
        try:
            return self.ledger.get(job_id)
        except NotFound:
            return None

    def _open_source(self, job_id: str, source: str, spec: SourceSpec, options: JobOptions) -> Job:
        """Open a job that reads a source; what was uploaded for one that cannot is deleted."""
        try:
            open_source(spec, self.sources)
            recorded = record_spec(self.store, job_id, spec.model_dump_json())
            return self.open(source, options, job_id=job_id, spec=recorded)
        except PetsearchError:
            with suppress(PetsearchError):  # most often there is no such job yet
                self.cancel(job_id)
            with suppress(PetsearchError):
                self._delete_objects(object_keys.imports_prefix(job_id))
            raise

    def _create(
        self,
        source: str,
        options: JobOptions,
        *,
        job_id: str | None = None,
        spec: str | None = None,
        first_chunk_items: int = 0,
    ) -> str:
        job = NewJob(job_id or uuid.uuid4().hex, source, self.clock(), spec=spec, **vars(options))
        self.ledger.create(job, first_chunk_items=first_chunk_items)
        return job.job_id

    def _delete_objects(self, prefix: str) -> None:
        for key in self.store.list_keys(prefix):
            self.store.delete(key)

    def _reopen(self, job_id: str, sizes: Mapping[int, int], warned: int) -> None:
        try:
            self.ledger.reopen(job_id, sizes, warned=warned)
        except (Conflict, NotFound):  # not where the answer was lost: the chunks may count
            for chunk_no in sizes:
                self.store.delete(object_keys.chunk(job_id, chunk_no))
            raise

    def _stage(self, job_id: str, first_item_no: int, uploads: Iterable[Upload]) -> list[Item]:
        numbered = enumerate(uploads, first_item_no)
        return [self._stage_one(job_id, item_no, upload) for item_no, upload in numbered]

    def _stage_one(self, job_id: str, item_no: int, upload: Upload) -> Item:
        if upload.refusal:
            return Item(item_no, "", upload.metadata, staging_key=None, refusal=upload.refusal)
        key = object_keys.staging(job_id, item_no)
        self.store.put(key, upload.data)
        digest, size = sha256_of(upload.data), len(upload.data)
        return Item(item_no, digest, upload.metadata, staging_key=key, size_bytes=size)

    def _queue_chunk(
        self, job_id: str, chunk_no: int, items: Sequence[Item], *, is_last: bool = False
    ) -> Job:
        chunk_files.write_chunk(self.store, job_id, chunk_no, items)
        self.ledger.add_chunk(job_id, chunk_no, len(items), is_last=is_last)
        job = self.ledger.get(job_id)
        if job.cancelled:
            raise Conflict(f"The job {job_id!r} was cancelled.")
        self.dispatcher.dispatch(job_id)
        return job
