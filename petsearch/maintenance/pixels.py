"""Remakes what older versions made of photos: copies, size, hash and embedding, from the originals.

Image ids and what people stated stay. A record of a version that did not read the dates in photos
gets that of its original, unless somebody may have cleared it. Every step may be repeated: the
version of its pixels is the last that a record gets.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, tzinfo
from functools import partial
from itertools import takewhile

from petsearch.domain import ImageRecord, Item, ItemStatus, Outcome, object_keys
from petsearch.domain.capture import NOT_STATED, recorded_date
from petsearch.domain.errors import InvalidInput, NotFound, PetsearchError, Unavailable
from petsearch.ingest.one_by_one import one_by_one
from petsearch.ingest.outcomes import DELETED, failed_outcome
from petsearch.jobs.chunk_runner import MAX_ATTEMPTS, ChunkRun
from petsearch.models import Catalogue, model_id_of
from petsearch.photos import Decoders
from petsearch.photos.decode import PIXELS_VERSION
from petsearch.photos.perceptual_hash import hashes_of
from petsearch.ports import ChunkLedger, IndexReader, IndexWriter, ObjectStore, Stage
from petsearch.ports.index import id_pages
from petsearch.ports.raw_index import RawIndex
from petsearch.reindex import PointMaker, WriteSet

QUEUED_AT_A_TIME = 64
"""Read at a time, and queued as a chunk."""
_READS_DATES = 2
"""The first version that read the dates in photos."""
_CURRENT = "Its pixels are of this version already."


def outdated_images(index: IndexReader, collection: str) -> Iterator[list[str]]:
    """The ids of images whose pixels an older version decoded, in pages that may be empty."""
    for page in id_pages(index, collection, QUEUED_AT_A_TIME):
        records = index.get(collection, page).values()
        yield [record.image_id for record in records if record.pixels_version < PIXELS_VERSION]


@dataclass(frozen=True, kw_only=True)
class PixelUpdater:
    """The `ItemProcessor` of jobs that remake pixels. Thread-safe."""

    index: RawIndex
    writer: IndexWriter
    store: ObjectStore
    ledger: ChunkLedger
    catalogue: Catalogue
    write_set: WriteSet
    points: PointMaker
    decoders: Decoders
    clock: Callable[[], datetime]
    zone: tzinfo

    def process(self, run: ChunkRun, items: Sequence[Item]) -> list[Outcome]:
        """See `ItemProcessor.process`."""
        update = partial(self._update, run)
        if run.one_by_one:
            return [*one_by_one(run, self.ledger, items, update, image_of=lambda i: i.origin)]
        return [update(item) for item in takewhile(lambda _: not run.should_stop(), items)]

    def _update(self, run: ChunkRun, item: Item) -> Outcome:
        image_id = item.origin or ""
        collection = self.catalogue.collection()
        record = self.index.get(collection, [image_id]).get(image_id)
        if record is None:
            return _outcome(item, ItemStatus.DUPLICATE, DELETED)
        if record.pixels_version >= PIXELS_VERSION:
            return _outcome(item, ItemStatus.DUPLICATE, _CURRENT)
        try:
            remade = self._remake(record, with_dates=run.job.exif_dates)
            self._replace_embeddings(collection, record)
            self._replace_record(collection, record, remade)
        except (InvalidInput, NotFound) as error:
            if image_id not in self.index.get(collection, [image_id]):
                self.store.delete(object_keys.display(image_id))
                self.store.delete(object_keys.thumbnail(image_id))
                return _outcome(item, ItemStatus.DUPLICATE, DELETED)
            return _outcome(item, ItemStatus.FAILED, _stays(error))
        except Unavailable as error:
            if not run.count_failure(image_id, error):
                raise
            failed = failed_outcome(item, Stage.EMBED, error, attempts=MAX_ATTEMPTS)
            return replace(failed, image_id=image_id, reason=_stays(error))
        return _outcome(item, ItemStatus.INGESTED)

    def _remake(self, record: ImageRecord, *, with_dates: bool) -> ImageRecord:
        """Store new copies; the record with what its original says now."""
        image_id = record.image_id
        data = self.store.get(object_keys.original(image_id))
        new = self.decoders.copies(data)
        self.store.put(object_keys.display(image_id), new.copies.display)
        self.store.put(object_keys.thumbnail(image_id), new.copies.thumbnail)
        capture = new.capture if with_dates and _lacks_date(record) else NOT_STATED
        taken_at, precision = recorded_date(capture, self.clock(), self.zone)
        return replace(
            record,
            width=new.width,
            height=new.height,
            content_type=new.content_type,
            phash=hashes_of([new.copies.grey])[0],
            pixels_version=PIXELS_VERSION,
            exif_taken_at=record.exif_taken_at or taken_at,
            exif_taken_at_precision=record.exif_taken_at_precision or precision,
        )

    def _replace_embeddings(self, collection: str, record: ImageRecord) -> None:
        """In every collection of the write set, each by its own model."""
        for context in self.write_set.each(collection, current_last=True):
            with context as name:
                made, failed = self.points.make([record], self.catalogue.model(model_id_of(name)))
                if failed:
                    raise NotFound(failed[record.image_id])
                self.index.replace_embeddings(name, {record.image_id: made[0].embedding})
                self._replace_prediction(name, made[0].record)

    def _replace_prediction(self, collection: str, made: ImageRecord) -> None:
        there = self.index.get(collection, [made.image_id]).get(made.image_id)
        if there is not None and there.prediction != made.prediction:
            self.index.replace_records(collection, [replace(there, prediction=made.prediction)])

    def _replace_record(self, collection: str, before: ImageRecord, after: ImageRecord) -> None:
        """Merge what was remade into the record as it is now, which people may have changed.

        Raises:
            NotFound: it was deleted.
        """
        while True:
            now = self.index.get(collection, [before.image_id]).get(before.image_id)
            if now is None:
                raise NotFound(DELETED)
            merged = replace(
                now,
                width=after.width,
                height=after.height,
                content_type=after.content_type,
                phash=after.phash,
                pixels_version=after.pixels_version,
                exif_taken_at=after.exif_taken_at,
                exif_taken_at_precision=after.exif_taken_at_precision,
                updated_at=self.clock(),
            )
            if not self.writer.replace_everywhere(collection, [(now, merged)]):
                return


def _lacks_date(record: ImageRecord) -> bool:
    """Whether the date in a photo was never read, and nobody can have cleared another one.

    Versions that did not read it left no trace of a date that was cleared but a change.
    """
    is_untouched = record.updated_at == record.created_at
    return record.pixels_version < _READS_DATES and is_untouched


def _stays(error: PetsearchError) -> str:
    return f"It stays as it was: {error.detail}"


def _outcome(item: Item, status: ItemStatus, reason: str | None = None) -> Outcome:
    stage = Stage.DECODE.value if status is ItemStatus.FAILED else None
    image_id = item.origin or None
    return Outcome(item.item_no, "", status, image_id=image_id, reason=reason, stage=stage)
