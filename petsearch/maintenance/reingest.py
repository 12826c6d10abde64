"""Queues images as items of a job: those that the index lost, and those with outdated pixels."""

import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from petsearch.domain import ImageMetadata, Item, JobKind, NewJob, image_id_of, object_keys
from petsearch.domain.errors import NotFound
from petsearch.jobs import Dispatcher, chunk_files
from petsearch.maintenance.hashed_stream import size_and_sha256
from petsearch.ports import JobWriter, ObjectStore, tombstones

_SOURCE = "reconcile"
_DAMAGED = "The original in the object store is damaged: it is not the photo that was ingested."


@dataclass(kw_only=True)
class ImageJob:
    """A job for images that are here, added in batches. It is opened with the first; seal it."""

    store: ObjectStore
    ledger: JobWriter
    dispatcher: Dispatcher
    clock: Callable[[], datetime]
    kind: JobKind = JobKind.INGEST
    exif_dates: bool = False
    """What people stated of a lost image went with its point, as that it has no date."""
    job_id: str | None = field(default=None, init=False)
    """None as long as there is no item."""

    def add(self, image_ids: Sequence[str]) -> None:
        """Queue images whose originals are in the store, as one chunk. Deleted ones are skipped."""
        found = [item for item in map(self._item, image_ids) if item is not None]
        if not found:
            return
        if self.job_id is None:
            self.job_id = uuid.uuid4().hex
            now, dates = self.clock(), self.exif_dates
            new = NewJob(self.job_id, _SOURCE, now, kind=self.kind, exif_dates=dates)
            self.ledger.create(new)
        slot = self.ledger.reserve_chunk(self.job_id, len(found))
        items = [
            replace(item, item_no=item_no) for item_no, item in enumerate(found, slot.first_item_no)
        ]
        chunk_files.write_chunk(self.store, self.job_id, slot.chunk_no, items)
        self.ledger.add_chunk(self.job_id, slot.chunk_no, len(items))
        self.dispatcher.dispatch(self.job_id)

    def seal(self) -> None:
        """No more images."""
        if self.job_id is not None:
            self.ledger.seal(self.job_id, self.clock())

    def _item(self, image_id: str) -> Item | None:
        """The item of an image, numbered 0; None if the image was deleted."""
        if self.kind is not JobKind.INGEST:
            return Item(0, "", ImageMetadata(), staging_key=None, origin=image_id)
        if tombstones.version(self.store, image_id) is not None:
            return None
        try:
            _, sha256 = size_and_sha256(self.store.open(object_keys.original(image_id)))
        except NotFound:
            return None
        refusal = None if image_id_of(sha256) == image_id else _DAMAGED
        # The metadata of a lost image went with its point.
        return Item(0, sha256, ImageMetadata(), staging_key=None, refusal=refusal)
