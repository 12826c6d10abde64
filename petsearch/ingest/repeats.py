"""What is kept of what clients say about an image: the first time, and when it comes again."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from petsearch.domain import (
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
from petsearch.domain.errors import Conflict
from petsearch.domain.prompts import species_of
from petsearch.ingest.outcomes import outcome_of
from petsearch.ingest.run import ChunkRun
from petsearch.observability import get_logger
from petsearch.ports import IndexWriter, RecordChange

log = get_logger(__name__)

MAX_SOURCES = 20
"""How many items that brought the same image are remembered with it."""
_MOST_ROUNDS = 20
"""So often records are read again because somebody else changed them meanwhile."""

Repeat = tuple[Item, str]
"""An item that came again, and the id of its image."""


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

    def __init__(self, index: IndexWriter, clock: Callable[[], datetime]) -> None:
        self._index = index
        self._clock = clock

    def settle_repeats(self, run: ChunkRun, items: Sequence[Item]) -> list[Outcome]:
        """Items whose image was indexed before they came, or comes earlier in their chunk."""
        if not items:
            return []
        ids = [image_id_of(item.sha256) for item in items]
        found = self._index.get(run.target.collection, ids)
        return self.settle(run, [(item, found.get(i)) for item, i in zip(items, ids, strict=True)])

    def settle(
        self, run: ChunkRun, found: Sequence[tuple[Item, ImageRecord | None]]
    ) -> list[Outcome]:
        """Ingested iff an item brought its image first, also when it is run twice."""
        repeats = [
            (item, record.image_id)
            for item, record in found
            if record is not None and record.first_seen != run.ref(item)
        ]
        self._merge(run, repeats, {r.image_id: r for _, r in found if r is not None})
        return [self._outcome(run, item, record) for item, record in found]

    def _outcome(self, run: ChunkRun, item: Item, record: ImageRecord | None) -> Outcome:
        if record is None:
            reason = "The same file in this chunk was refused."
            return outcome_of(item, ItemStatus.REFUSED, reason)
        if record.first_seen == run.ref(item):
            return outcome_of(item, ItemStatus.INGESTED)
        return outcome_of(item, ItemStatus.DUPLICATE, "This photo was ingested before.")

    def _merge(
        self, run: ChunkRun, repeats: Sequence[Repeat], before: Mapping[str, ImageRecord]
    ) -> None:
        """Add what repeats say to their images; an image that is deleted meanwhile needs nothing.

        Raises:
            Conflict: images are changed as fast as they are read; the same call may work later.
        """
        collection = run.target.collection
        for _ in range(_MOST_ROUNDS):
            changes = self._changes(run, repeats, before)
            left = self._index.replace_everywhere(collection, changes) if changes else set()
            if not left:
                return
            log.debug("changed by somebody else while they were merged", images=len(left))
            before = self._index.get(collection, list(left))
        raise Conflict("Images are changed as fast as they are read; try again.")

    def _changes(
        self, run: ChunkRun, repeats: Sequence[Repeat], before: Mapping[str, ImageRecord]
    ) -> list[RecordChange]:
        latest = dict(before)
        for item, image_id in repeats:
            if image_id in latest:
                said = completed(item.metadata, run.target.model)
                merged = latest[image_id]
                latest[image_id] = settled(merged, said, run.ref(item), run.job.on_duplicate)
        now = self._clock()
        return [
            (before[image_id], replace(record, updated_at=now))
            for image_id, record in latest.items()
            if record != before[image_id]
        ]
