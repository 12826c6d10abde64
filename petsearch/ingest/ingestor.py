"""Ingests the items of a chunk: prepares them in threads, embeds them in batches, indexes them.

Every step may be repeated. Threads prepare the next items while this thread embeds those that are
ready, so the slower of the two sets the pace.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime

import numpy as np

from petsearch.domain import (
    ImageRecord,
    Item,
    ItemStatus,
    Outcome,
    Point,
    Prediction,
    Priority,
    TakenAtSource,
    image_id_of,
)
from petsearch.domain.capture import NOT_STATED, is_in_future, recorded_date
from petsearch.domain.errors import Unavailable
from petsearch.embedding import BreedTagger
from petsearch.ingest.one_by_one import one_by_one
from petsearch.ingest.outcomes import failed_outcome, outcome_of
from petsearch.ingest.prepare import AlreadyIndexed, IngestOptions, Prepared, Preparer
from petsearch.ingest.repeats import RepeatMerger, is_first, normalise_metadata
from petsearch.jobs.chunk_runner import MAX_ATTEMPTS, ChunkRun
from petsearch.models import Catalogue, Target
from petsearch.photos.decode import PIXELS_VERSION
from petsearch.photos.perceptual_hash import hashes_of
from petsearch.ports import (
    ChunkLedger,
    Embedder,
    IndexWriter,
    IngestObserver,
    ObjectStore,
    Stage,
    timed,
    tombstones,
)
from petsearch.sources import Fetcher

IngestResult = AlreadyIndexed | Outcome


class Ingestor:
    """The `ItemProcessor` of ingest jobs. Thread-safe.

    Args:
        clock: returns the time with a time zone.
        fetcher: fetches items that have an origin instead of staged bytes.
    """

    def __init__(
        self,
        *,
        embedder: Embedder,
        index: IndexWriter,
        store: ObjectStore,
        ledger: ChunkLedger,
        catalogue: Catalogue,
        options: IngestOptions,
        clock: Callable[[], datetime],
        fetcher: Fetcher,
        observer: IngestObserver,
    ) -> None:
        self._embedder = embedder
        self._index = index
        self._store = store
        self._ledger = ledger
        self._catalogue = catalogue
        self._clock = clock
        self._observer = observer
        self._tagger = BreedTagger(embedder)
        self._zone = options.zone
        self._repeats = RepeatMerger(index, store, clock, options.zone)
        self._preparer = Preparer(
            store=store,
            index=index,
            options=options,
            fetcher=fetcher,
            observer=observer,
            clock=clock,
        )

    def close(self) -> None:
        """Stop the decoding threads."""
        self._preparer.close()

    def process(self, run: ChunkRun, items: Sequence[Item]) -> list[Outcome]:
        """See `ItemProcessor.process`."""
        target = self._catalogue.current()
        now = self._clock()
        items = [_without_future_date(item, now) for item in items]
        outcomes = [outcome_of(i, ItemStatus.REFUSED, i.refusal) for i in items if i.refusal]
        new, repeats = self._split(target, [item for item in items if not item.refusal])
        self._wait_for_deletes(new)
        results: list[IngestResult] = []
        if run.one_by_one:
            results += one_by_one(
                run, self._ledger, new, lambda item: self._ingest_alone(run, target, item)
            )
        else:
            for batch in self._preparer.batches(new, target, run.should_stop):
                results += [one for one in batch if not isinstance(one, Prepared)]
                ready = [one for one in batch if isinstance(one, Prepared)]
                results += self._index_batch(run, target, ready)
        ended = {one.item_no: one for one in results if isinstance(one, Outcome)}
        indexed = [one.item for one in results if isinstance(one, AlreadyIndexed)]
        # What repeats an item that this run did not come to is left to a later run with it.
        done = {*ended, *(item.item_no for item in indexed)}
        left = {item.sha256 for item in new if item.item_no not in done}
        # Last and in their order, across all batches.
        indexed += [item for item in repeats if item.sha256 not in left]
        indexed.sort(key=lambda item: item.item_no)
        first_of = {item.sha256: ended[item.item_no] for item in new if item.item_no in ended}
        outcomes += ended.values()
        return outcomes + self._repeats.merge(run, target, indexed, first_of)

    def _split(self, target: Target, items: Sequence[Item]) -> tuple[list[Item], list[Item]]:
        """Items to embed, and items whose image is indexed or comes earlier in this chunk."""
        ids = [image_id_of(item.sha256) for item in items if item.sha256]
        seen = set(self._index.get(target.collection, ids))
        new: list[Item] = []
        repeats: list[Item] = []
        for item in items:
            image_id = image_id_of(item.sha256) if item.sha256 else None
            (repeats if image_id in seen else new).append(item)
            if image_id:
                seen.add(image_id)
        return new, repeats

    def _wait_for_deletes(self, new: Sequence[Item]) -> None:
        """Of images that the index shows no more, before what comes again of them is stored.

        Raises:
            SourceUnavailable: a delete may be going on; the same call may succeed later.
        """
        ids = {image_id_of(item.sha256): item for item in new if item.staging_key and item.sha256}
        for image_id in tombstones.among(self._store, ids):
            # Without it, it is an item that was ingested by an earlier run and deleted since.
            if self._store.find(ids[image_id].staging_key or ""):
                tombstones.wait_for_delete(self._store, image_id, self._clock())

    def _ingest_alone(self, run: ChunkRun, target: Target, item: Item) -> IngestResult:
        prepared = self._preparer.prepare(item, target)
        if not isinstance(prepared, Prepared):
            return prepared
        image_id = image_id_of(prepared.item.sha256)
        try:
            # What fails may be the model of another collection: that is no failure of the photo.
            needs_all = not run.is_last_attempt(image_id)
            return self._index_batch(run, target, [prepared], needs_all=needs_all)[0]
        except Unavailable as error:
            if not run.count_failure(image_id, error):
                raise
            return failed_outcome(prepared.item, Stage.EMBED, error, attempts=MAX_ATTEMPTS)

    def _index_batch(
        self, run: ChunkRun, target: Target, batch: Sequence[Prepared], *, needs_all: bool = True
    ) -> list[IngestResult]:
        """Index the images of a batch; an item whose image another one brought is a repeat.

        Args:
            needs_all: see `IndexWriter.insert_everywhere`.
        """
        if not batch:
            return []
        first_of = {image_id_of(one.item.sha256): one for one in reversed(batch)}
        firsts = [one for one in batch if first_of[image_id_of(one.item.sha256)] is one]
        with timed(self._observer, Stage.EMBED):
            embeddings = self._embedder.embed_pixels(
                np.stack([prepared.pixels for prepared in firsts]),
                model_id=target.model.model_id,
                priority=Priority.INGEST,
            )
            predictions = self._tagger.predict(target.model, embeddings)
        with timed(self._observer, Stage.INDEX):
            hashes = hashes_of([prepared.grey for prepared in firsts])
            points = [
                Point(self._record(run, target, prepared, phash, prediction), embedding)
                for prepared, phash, prediction, embedding in zip(
                    firsts, hashes, predictions, embeddings, strict=True
                )
            ]
            self._index.insert_everywhere(target.collection, points, needs_all=needs_all)
            # Reads the records again: insert skips a point that another chunk has inserted.
            records = self._index.get(target.collection, list(first_of))
        return [_result(run, one.item, records) for one in batch]

    def _record(
        self,
        run: ChunkRun,
        target: Target,
        prepared: Prepared,
        phash: str | None,
        prediction: Prediction | None,
    ) -> ImageRecord:
        item, now = prepared.item, self._clock()
        metadata = normalise_metadata(item.metadata, target.model, self._zone)
        if run.job.gps and metadata.location is None:
            metadata = replace(metadata, location=prepared.capture.location)
        capture = prepared.capture if run.job.exif_dates else NOT_STATED
        taken_at, precision = recorded_date(capture, now, self._zone)
        return ImageRecord(
            image_id=image_id_of(item.sha256),
            sha256=item.sha256,
            metadata=metadata,
            prediction=prediction,
            width=prepared.width,
            height=prepared.height,
            content_type=prepared.content_type,
            size_bytes=item.size_bytes or 0,
            created_at=now,
            updated_at=now,
            model_id=target.model.model_id,
            first_seen=run.ref(item),
            sources=(run.ref(item),),
            phash=phash,
            pixels_version=PIXELS_VERSION,
            exif_taken_at=taken_at,
            exif_taken_at_precision=precision,
        )


def _without_future_date(item: Item, now: datetime) -> Item:
    """The item without the date of a sidecar that cannot be right."""
    said = item.metadata
    is_of_sidecar = said.taken_at_source is TakenAtSource.SIDECAR
    if not is_of_sidecar or said.taken_at is None or not is_in_future(said.taken_at, now):
        return item
    return replace(item, metadata=replace(said, taken_at=None))


def _result(run: ChunkRun, item: Item, records: Mapping[str, ImageRecord]) -> IngestResult:
    if is_first(run, item, records.get(image_id_of(item.sha256))):
        return outcome_of(item, ItemStatus.INGESTED)
    return AlreadyIndexed(item)
