"""Ingest of one chunk: fetch, decode, store, embed, tag, insert, account.

Every step may be repeated: a chunk that was cut off anywhere is simply run again. Decoding runs
in a pool of threads while this thread embeds what is ready, so the slower of the two sets the pace.
"""

import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import islice

import numpy as np

from petsearch import chunks, images, object_keys
from petsearch.catalogue import Catalogue, Target
from petsearch.decode_memory import Budget
from petsearch.errors import InvalidInput, NotFound, PetsearchError, Unavailable
from petsearch.images import ImageLimits
from petsearch.model import (
    ImageMetadata,
    ImageRecord,
    Item,
    ItemRef,
    ItemStatus,
    ModelInfo,
    Outcome,
    Pixels,
    Point,
    Prediction,
    Priority,
    image_id_of,
    normalise_name,
)
from petsearch.observability import get_logger
from petsearch.ports import Embedder, Index, JobLedger, ObjectStore
from petsearch.process_tuning import yield_to_the_model
from petsearch.prompts import species_of
from petsearch.zero_shot import BreedTagger

log = get_logger(__name__)

MAX_SOURCES = 20
"""How many items that brought the same image are remembered with it."""


@dataclass(frozen=True)
class IngestOptions:
    """How much is done at a time."""

    batch_size: int
    """Photos embedded in one call."""
    decode_threads: int
    limits: ImageLimits


@dataclass(frozen=True)
class _Prepared:
    """A decoded item whose bytes and copies are stored already."""

    item: Item
    pixels: Pixels
    width: int
    height: int
    content_type: str
    size_bytes: int


class Ingestor:
    """Ingests chunks. Safe to call from several threads at once.

    Args:
        clock: the time now, with a time zone.
    """

    def __init__(
        self,
        *,
        embedder: Embedder,
        index: Index,
        store: ObjectStore,
        ledger: JobLedger,
        catalogue: Catalogue,
        options: IngestOptions,
        clock: Callable[[], datetime],
    ) -> None:
        self._embedder = embedder
        self._index = index
        self._store = store
        self._ledger = ledger
        self._catalogue = catalogue
        self._options = options
        self._clock = clock
        self._tagger = BreedTagger(embedder)
        self._budget = Budget(options.limits.max_decode_bytes)
        self._merging = threading.Lock()
        self._decoders = ThreadPoolExecutor(
            options.decode_threads, thread_name_prefix="decode", initializer=yield_to_the_model
        )

    def close(self) -> None:
        """Stop the decoding threads."""
        self._decoders.shutdown(wait=True, cancel_futures=True)

    def ingest_chunk(self, job_id: str, chunk_no: int) -> None:
        """Bring every item of a chunk to an outcome and account them once.

        Raises:
            Unavailable: a dependency does not answer; the same call finishes the work later.
            NotFound: the job or the chunk does not exist.
        """
        if self._ledger.is_accounted(job_id, chunk_no):
            return
        items = chunks.read_chunk(self._store, job_id, chunk_no)
        target = self._catalogue.current()
        outcomes = sorted(self._bring_in(job_id, items, target), key=lambda o: o.item_no)
        chunks.write_outcomes(self._store, job_id, chunk_no, outcomes)
        counts = Counter(outcome.status for outcome in outcomes)
        counted = self._ledger.account_chunk(job_id, chunk_no, counts, self._clock())
        self._discard_staged(items)
        log.info(
            "chunk ingested",
            counted=counted,
            **{status.value: count for status, count in counts.items()},
        )

    def _bring_in(self, job_id: str, items: Sequence[Item], target: Target) -> Iterator[Outcome]:
        refused = [item for item in items if item.refusal]
        yield from (_outcome(item, ItemStatus.REFUSED, item.refusal) for item in refused)
        wanted = [item for item in items if not item.refusal]
        known = self._index.get(target.collection, [image_id_of(item.sha256) for item in wanted])
        firsts: dict[str, Item] = {}
        repeats: list[Item] = []
        for item in wanted:
            image_id = image_id_of(item.sha256)
            if image_id in known or image_id in firsts:
                repeats.append(item)
            else:
                firsts[image_id] = item
        yield from self._embed_new(job_id, list(firsts.values()), target)
        # After the new ones: a repeat may be a repeat of one of them.
        yield from self._settle_repeats(job_id, repeats, target)

    # --- images that are not indexed yet ---------------------------------------------------

    def _embed_new(self, job_id: str, items: Sequence[Item], target: Target) -> Iterator[Outcome]:
        decoding = [(item, self._decoders.submit(self._prepare, item, target)) for item in items]
        try:
            pending = iter(decoding)
            while batch := list(islice(pending, self._options.batch_size)):
                ready: list[_Prepared] = []
                for item, future in batch:
                    outcome = _refusal_of(item, future)
                    if outcome is None:
                        ready.append(future.result())
                    else:
                        yield outcome
                yield from self._index_batch(job_id, ready, target)
        finally:
            for _, future in decoding:
                future.cancel()

    def _prepare(self, item: Item, target: Target) -> _Prepared:
        data = self._fetch(item)
        with images.decoded_within(self._budget, data, self._options.limits) as decoded:
            pixels = images.to_pixels(decoded.picture, target.model.pixel_spec)
            display = images.display_copy(decoded.picture)
            thumbnail = images.thumbnail(decoded.picture)
        image_id = image_id_of(item.sha256)
        self._keep_original(item, image_id)
        self._store.put(object_keys.display(image_id), display)
        self._store.put(object_keys.thumbnail(image_id), thumbnail)
        return _Prepared(
            item, pixels, decoded.width, decoded.height, decoded.content_type, len(data)
        )

    def _fetch(self, item: Item) -> bytes:
        """The bytes: staged, or kept already by a run of this chunk that was cut off."""
        if item.staging_key is not None:
            try:
                return self._store.get(item.staging_key)
            except NotFound:
                log.debug("staged bytes were moved before", item_no=item.item_no)
        try:
            return self._store.get(object_keys.original(image_id_of(item.sha256)))
        except NotFound as error:
            raise InvalidInput("Its bytes are not here any more; upload it again.") from error

    def _keep_original(self, item: Item, image_id: str) -> None:
        if item.staging_key is None:
            return
        try:
            self._store.move(item.staging_key, object_keys.original(image_id))
        except NotFound:
            self._store.stat(object_keys.original(image_id))

    def _index_batch(
        self, job_id: str, ready: Sequence[_Prepared], target: Target
    ) -> list[Outcome]:
        if not ready:
            return []
        embeddings = self._embedder.embed_pixels(
            np.stack([prepared.pixels for prepared in ready]),
            model_id=target.model.model_id,
            priority=Priority.INGEST,
        )
        predictions = self._tagger.predict(target.model, embeddings)
        records = [
            self._record(job_id, prepared, prediction, target)
            for prepared, prediction in zip(ready, predictions, strict=True)
        ]
        points = [Point(r, e) for r, e in zip(records, embeddings, strict=True)]
        self._index.insert(target.collection, points)
        return self._read_back(job_id, [prepared.item for prepared in ready], target)

    def _record(
        self, job_id: str, prepared: _Prepared, prediction: Prediction, target: Target
    ) -> ImageRecord:
        now = self._clock()
        ref = ItemRef(job_id, prepared.item.item_no)
        return ImageRecord(
            image_id=image_id_of(prepared.item.sha256),
            sha256=prepared.item.sha256,
            metadata=completed(prepared.item.metadata, target.model),
            prediction=prediction,
            width=prepared.width,
            height=prepared.height,
            content_type=prepared.content_type,
            size_bytes=prepared.size_bytes,
            created_at=now,
            updated_at=now,
            model_id=target.model.model_id,
            first_seen=ref,
            sources=(ref,),
        )

    def _read_back(self, job_id: str, items: Sequence[Item], target: Target) -> list[Outcome]:
        # Insert leaves a point alone that another chunk inserted in the meantime.
        found = self._index.get(target.collection, [image_id_of(item.sha256) for item in items])
        return [
            self._settle(job_id, item, found[image_id_of(item.sha256)], target) for item in items
        ]

    # --- images that are indexed already ---------------------------------------------------

    def _settle_repeats(
        self, job_id: str, items: Sequence[Item], target: Target
    ) -> Iterator[Outcome]:
        for item in items:
            image_id = image_id_of(item.sha256)
            with self._merging:
                record = self._index.get(target.collection, [image_id]).get(image_id)
                if record is None:
                    yield _outcome(
                        item, ItemStatus.REFUSED, "The same file in this chunk was refused."
                    )
                else:
                    yield self._settle(job_id, item, record, target)

    def _settle(self, job_id: str, item: Item, record: ImageRecord, target: Target) -> Outcome:
        """Ingested iff this item brought the image first, also when it is run twice."""
        ref = ItemRef(job_id, item.item_no)
        if record.first_seen == ref:
            return _outcome(item, ItemStatus.INGESTED)
        merged = merge(record, completed(item.metadata, target.model), ref)
        if merged != record:
            now = self._clock()
            self._index.replace_record(target.collection, replace(merged, updated_at=now))
        return _outcome(item, ItemStatus.DUPLICATE, "This photo was ingested before.")

    def _discard_staged(self, items: Sequence[Item]) -> None:
        """Delete what is still staged: refused files and repeats."""
        for item in items:
            if item.staging_key is not None:
                self._store.delete(item.staging_key)


def completed(said: ImageMetadata, model: ModelInfo) -> ImageMetadata:
    """Names as they are stored, and the species of a known breed where only the breed was said."""
    breed = normalise_name(said.breed) if said.breed else None
    species = normalise_name(said.species) if said.species else None
    if breed and not species:
        of_model = {label.breed: label.species for label in model.labels}
        species = of_model.get(breed) or species_of(breed)
    status = normalise_name(said.status) if said.status else None
    return replace(said, breed=breed or None, species=species or None, status=status or None)


def merge(record: ImageRecord, said: ImageMetadata, source: ItemRef) -> ImageRecord:
    """Fill what the record does not say yet, add new tags and remember where they came from."""
    before = record.metadata
    metadata = ImageMetadata(
        filename=before.filename or said.filename,
        breed=before.breed or said.breed,
        species=before.species or said.species,
        animal_id=before.animal_id or said.animal_id,
        status=before.status or said.status,
        tags=tuple(dict.fromkeys((*before.tags, *said.tags))),
        taken_at=before.taken_at or said.taken_at,
        attributes={**said.attributes, **before.attributes},
    )
    if metadata == before:
        return record
    sources = tuple(dict.fromkeys((*record.sources, source)))[:MAX_SOURCES]
    return replace(record, metadata=metadata, sources=sources)


def _outcome(item: Item, status: ItemStatus, reason: str | None = None) -> Outcome:
    has_image = status in (ItemStatus.INGESTED, ItemStatus.DUPLICATE)
    return Outcome(
        item_no=item.item_no,
        filename=item.metadata.filename,
        status=status,
        image_id=image_id_of(item.sha256) if has_image else None,
        reason=reason,
    )


def _refusal_of(item: Item, future: Future[_Prepared]) -> Outcome | None:
    """None if the item was prepared. A dependency that is down is not the item's fault."""
    error = future.exception()
    if error is None:
        return None
    if isinstance(error, InvalidInput):
        return _outcome(item, ItemStatus.REFUSED, error.detail)
    if isinstance(error, Unavailable) or not isinstance(error, Exception):
        raise error
    log.error("item failed", item_no=item.item_no, exc_info=error)
    reason = (
        error.detail if isinstance(error, PetsearchError) else f"{type(error).__name__}: {error}"
    )
    return _outcome(item, ItemStatus.FAILED, reason)
