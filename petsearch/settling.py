"""What is kept of what clients say about an image: the first time, and when it comes again."""

import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime

from petsearch.chunk_run import ChunkRun
from petsearch.model import (
    ImageMetadata,
    ImageRecord,
    Item,
    ItemRef,
    ItemStatus,
    ModelInfo,
    OnDuplicate,
    Outcome,
    image_id_of,
    normalise_name,
)
from petsearch.outcomes import outcome_of
from petsearch.ports import Index
from petsearch.prompts import species_of

MAX_SOURCES = 20
"""How many items that brought the same image are remembered with it."""


def completed(said: ImageMetadata, model: ModelInfo) -> ImageMetadata:
    """Names as they are stored, and the species of a known breed where only the breed was said."""
    breed = normalise_name(said.breed) if said.breed else None
    species = normalise_name(said.species) if said.species else None
    if breed and not species:
        of_model = {label.breed: label.species for label in model.labels}
        species = of_model.get(breed) or species_of(breed)
    status = normalise_name(said.status) if said.status else None
    return replace(said, breed=breed or None, species=species or None, status=status or None)


def settled(
    record: ImageRecord, said: ImageMetadata, source: ItemRef, on_duplicate: OnDuplicate
) -> ImageRecord:
    """The record after an item brought its image once more; the same one if nothing changes."""
    if on_duplicate is OnDuplicate.KEEP or source in record.sources:
        return record
    sources = (*record.sources, source)[:MAX_SOURCES]
    metadata = said if on_duplicate is OnDuplicate.REPLACE else filled(record.metadata, said)
    return replace(record, metadata=metadata, sources=sources)


def filled(before: ImageMetadata, said: ImageMetadata) -> ImageMetadata:
    """Fill what is not said yet and add new tags; what was said before stays."""
    return ImageMetadata(
        filename=before.filename or said.filename,
        breed=before.breed or said.breed,
        species=before.species or said.species,
        animal_id=before.animal_id or said.animal_id,
        status=before.status or said.status,
        tags=tuple(dict.fromkeys((*before.tags, *said.tags))),
        taken_at=before.taken_at or said.taken_at,
        attributes={**said.attributes, **before.attributes},
        location=before.location or said.location,
    )


class Settler:
    """Decides what became of items whose image is indexed. Safe to call from several threads."""

    def __init__(self, index: Index, clock: Callable[[], datetime]) -> None:
        self._index = index
        self._clock = clock
        self._merging = threading.Lock()

    def settle_repeats(self, run: ChunkRun, items: Sequence[Item]) -> list[Outcome]:
        """Items whose image was indexed before they came, or comes earlier in their chunk."""
        if not items:
            return []
        with self._merging:
            ids = [image_id_of(item.sha256) for item in items]
            found = self._index.get(run.target.collection, ids)
            return self.settle(
                run, [(item, found.get(i)) for item, i in zip(items, ids, strict=True)]
            )

    def settle(
        self, run: ChunkRun, found: Sequence[tuple[Item, ImageRecord | None]]
    ) -> list[Outcome]:
        """Ingested iff an item brought its image first, also when it is run twice."""
        before = {record.image_id: record for _, record in found if record is not None}
        latest = dict(before)
        outcomes = []
        for item, record in found:
            if record is None:
                reason = "The same file in this chunk was refused."
                outcomes.append(outcome_of(item, ItemStatus.REFUSED, reason))
            elif record.first_seen == run.ref(item):
                outcomes.append(outcome_of(item, ItemStatus.INGESTED))
            else:
                reason = "This photo was ingested before."
                outcomes.append(outcome_of(item, ItemStatus.DUPLICATE, reason))
                said = completed(item.metadata, run.target.model)
                merged = latest[record.image_id]
                latest[record.image_id] = settled(merged, said, run.ref(item), run.job.on_duplicate)
        changed = [record for image_id, record in latest.items() if record != before[image_id]]
        if changed:
            now = self._clock()
            self._index.replace_records(
                run.target.collection, [replace(record, updated_at=now) for record in changed]
            )
        return outcomes
