"""Merges the metadata of an image that is ingested repeatedly into its record."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, tzinfo
from functools import partial

from petsearch.domain import (
    ImageMetadata,
    ImageRecord,
    Item,
    ItemRef,
    ItemStatus,
    ItemWarning,
    ModelInfo,
    OnDuplicate,
    Outcome,
    TakenAtSource,
    image_id_of,
    normalise_name,
    object_keys,
)
from petsearch.domain.errors import Unavailable
from petsearch.domain.metadata import MAX_ENTRIES
from petsearch.domain.places import fold_attribute, stated_attributes, stated_place
from petsearch.domain.prompts import species_of
from petsearch.domain.visible_text import distinct, fold
from petsearch.ingest.outcomes import DELETED, outcome_of
from petsearch.jobs.chunk_runner import ChunkRun
from petsearch.models import Target
from petsearch.ports import IndexWriter, ObjectStore, RecordChange, tombstones
from petsearch.ports.optimistic import update_records

MAX_SOURCES = 20
"""The number of items that an image keeps as its sources."""


_DATE_SOURCES = (None, TakenAtSource.SIDECAR, TakenAtSource.TABLE, TakenAtSource.STATED)


def normalise_metadata(given: ImageMetadata, model: ModelInfo, zone: tzinfo) -> ImageMetadata:
    """Normalise names, and add the species of a known breed if only the breed is given.

    Args:
        zone: of a date that names none.
    """
    breed = normalise_name(given.breed) if given.breed else None
    species = normalise_name(given.species) if given.species else None
    if breed and not species:
        of_model = {label.breed: label.species for label in model.labels}
        species = of_model.get(breed) or species_of(breed)
    status = normalise_name(given.status) if given.status else None
    named = replace(given, breed=breed or None, species=species or None, status=status or None)
    return named.in_zone(zone)


def merge_record(
    record: ImageRecord,
    given: ImageMetadata,
    source: ItemRef,
    on_duplicate: OnDuplicate,
    *,
    sees_places: bool = True,
) -> ImageRecord:
    """Merge the metadata of a duplicate into the record of its image.

    The order of the items of a job decides, also if a later one was ingested before: chunks run
    in any order. What there is no room for (`fitting`) is left out.

    Args:
        sees_places: whether who opened the job sees exact places; see `stated_place`.
    """
    if source in record.sources:
        return record
    given = fitting(record.metadata, given, on_duplicate, sees_places=sees_places)
    others = [ref.item_no for ref in record.sources if ref.job_id == source.job_id]
    is_before_all = record.first_seen.job_id == source.job_id and source.item_no < min(
        others, default=0
    )
    if on_duplicate is OnDuplicate.REPLACE:
        is_last = source.item_no > max(others, default=-1)
        metadata = _replaced(record.metadata, given) if is_last else record.metadata
    elif on_duplicate is OnDuplicate.MERGE:
        stored = record.metadata
        metadata = _merge(given, stored) if is_before_all else _merge(stored, given)
    elif is_before_all:
        metadata = given
    else:
        return record
    stored = record.metadata
    metadata = replace(
        metadata,
        location=stated_place(stored.location, metadata.location, sees_places=sees_places),
        attributes=stated_attributes(
            stored.attributes, metadata.attributes, sees_places=sees_places
        ),
    )
    # The newest is always remembered, so that an item that runs again is recognised.
    sources = (*record.sources[: MAX_SOURCES - 1], source)
    return replace(record, metadata=metadata, sources=sources)


def fitting(
    stored: ImageMetadata, given: ImageMetadata, on_duplicate: OnDuplicate, *, sees_places: bool
) -> ImageMetadata:
    """What is given, without the tags and attributes that fit no more beside those that stay."""
    if on_duplicate is OnDuplicate.MERGE:
        tags, attributes = stored.tags, stored.attributes
    else:
        tags = ()
        attributes = stated_attributes(stored.attributes, {}, sees_places=sees_places)
    names = set(_fitting(given.attributes, attributes, fold_attribute))
    return replace(
        given,
        tags=tuple(_fitting(given.tags, tags, fold)),
        attributes={name: value for name, value in given.attributes.items() if name in names},
    )


def is_first(run: ChunkRun, item: Item, record: ImageRecord | None) -> bool:
    """Whether an image was first seen in this item, which is then ingested, and no duplicate."""
    return record is not None and record.first_seen == run.ref(item)


def _fitting(
    words: Iterable[str], stored: Collection[str], folded: Callable[[str], str]
) -> Iterator[str]:
    """The words that are stored already, and as many others as there is room for."""
    known, room = set(map(folded, stored)), MAX_ENTRIES - len(stored)
    for word in words:
        if folded(word) in known:
            yield word
        elif room > 0:
            room -= 1
            yield word


def _merge(stored: ImageMetadata, given: ImageMetadata) -> ImageMetadata:
    """Fill empty fields and add new tags and attributes; stored values stay."""
    dated = max(stored, given, key=_rank_of_date)
    names = set(map(fold_attribute, stored.attributes))
    others = {
        name: value for name, value in given.attributes.items() if fold_attribute(name) not in names
    }
    return ImageMetadata(
        filename=stored.filename or given.filename,
        breed=stored.breed or given.breed,
        species=stored.species or given.species,
        animal_id=stored.animal_id or given.animal_id,
        status=stored.status or given.status,
        tags=distinct((*stored.tags, *given.tags)),
        taken_at=dated.taken_at,
        taken_at_source=dated.taken_at_source,
        taken_at_precision=dated.taken_at_precision,
        attributes={**others, **stored.attributes},
        location=stored.location or given.location,
        source_path=stored.source_path or given.source_path,
    )


def _replaced(stored: ImageMetadata, given: ImageMetadata) -> ImageMetadata:
    """What is given; a date that someone cleared comes back only if people state one."""
    by_people = (TakenAtSource.STATED, TakenAtSource.TABLE)
    if not stored.is_date_cleared or given.taken_at_source in by_people:
        return given
    return replace(given, taken_at=None, taken_at_source=TakenAtSource.STATED)


def _rank_of_date(metadata: ImageMetadata) -> int:
    """A date that someone cleared comes first, then by who states it."""
    if metadata.is_date_cleared:
        return len(_DATE_SOURCES)
    return _DATE_SOURCES.index(metadata.taken_at_source)


@dataclass(frozen=True)
class RepeatMerger:
    """Determines the outcomes of items whose image is indexed. Thread-safe."""

    index: IndexWriter
    store: ObjectStore
    clock: Callable[[], datetime]
    zone: tzinfo

    def merge(
        self,
        run: ChunkRun,
        target: Target,
        items: Sequence[Item],
        first_of: Mapping[str, Outcome],
    ) -> list[Outcome]:
        """Merge duplicates into their records, and return an outcome for each item.

        One that gives more tags or attributes than fit has warnings of that.

        The item that an image was first seen in is ingested, also when its chunk is run again;
        every other one is a duplicate, also if its image was deleted meanwhile. Without an image,
        what repeats a failed item failed as well, so that it is retried with it.

        Args:
            first_of: outcomes of new items of this chunk by SHA-256.

        Raises:
            Conflict: records change as fast as they are read; the same call may succeed later.
            Unavailable: the index does not show an image that was not deleted; as above.
        """
        if not items:
            return []
        records = self.index.get(target.collection, [image_id_of(item.sha256) for item in items])
        outcomes = [
            self._outcome(
                run, item, records.get(image_id_of(item.sha256)), first_of.get(item.sha256)
            )
            for item in items
        ]
        repeats = [
            item
            for item, outcome in zip(items, outcomes, strict=True)
            if outcome.status is ItemStatus.DUPLICATE
        ]
        change = partial(self._changes, run, target, repeats)
        merged = update_records(self.index, target.collection, records, change)
        return [
            _warned(run, item, outcome, merged.get(image_id_of(item.sha256)))
            for item, outcome in zip(items, outcomes, strict=True)
        ]

    def _outcome(
        self, run: ChunkRun, item: Item, record: ImageRecord | None, first: Outcome | None
    ) -> Outcome:
        if record is None and first is not None and first.image_id is None:
            said = f"The same file in this chunk was {first.status.value}: {first.reason}"
            name = item.metadata.filename
            return replace(first, item_no=item.item_no, filename=name, reason=said)
        if record is None:
            self._check_deleted(image_id_of(item.sha256))
            return outcome_of(item, ItemStatus.DUPLICATE, DELETED)
        if is_first(run, item, record):
            return outcome_of(item, ItemStatus.INGESTED)
        return outcome_of(item, ItemStatus.DUPLICATE, "This photo was ingested before.")

    def _check_deleted(self, image_id: str) -> None:
        """Check that an image was deleted, which the index has shown and does not show any more.

        A replica of the index that was away shows less than was written.

        Raises:
            Unavailable: its original is stored, so that nobody deletes it.
        """
        # In this order: a delete that ends in between has removed the original.
        if tombstones.version(self.store, image_id) is None and self.store.find(
            object_keys.original(image_id)
        ):
            raise Unavailable(
                f"The index does not show the image {image_id} yet; it is tried again."
            )

    def _changes(
        self,
        run: ChunkRun,
        target: Target,
        repeats: Sequence[Item],
        records: Mapping[str, ImageRecord],
    ) -> list[RecordChange]:
        merged = dict(records)
        for item in repeats:
            image_id = image_id_of(item.sha256)
            if image_id in merged:
                given = normalise_metadata(item.metadata, target.model, self.zone)
                merged[image_id] = merge_record(
                    merged[image_id],
                    given,
                    run.ref(item),
                    run.job.on_duplicate,
                    sees_places=run.job.sees_places,
                )
        now = self.clock()
        return [
            (record, record if after == record else replace(after, updated_at=now))
            for record, after in zip(records.values(), merged.values(), strict=True)
        ]


def _warned(run: ChunkRun, item: Item, outcome: Outcome, record: ImageRecord | None) -> Outcome:
    """The outcome of an item, with warnings of what its image has no room for."""
    said, job = item.metadata, run.job
    is_merged = outcome.status is ItemStatus.DUPLICATE and job.on_duplicate is not OnDuplicate.KEEP
    if record is None or not is_merged:
        return outcome
    # By the record as it is now, so that a run that repeats another says the same.
    kept = fitting(record.metadata, said, job.on_duplicate, sees_places=job.sees_places)
    warnings = list(outcome.warnings)
    for name in ("tags", "attributes"):
        if count := len(getattr(said, name)) - len(getattr(kept, name)):
            detail = f"A photo has at most {MAX_ENTRIES} {name}: {count} are left out."
            warnings.append(ItemWarning("entries_left_out", detail, name))
    return replace(outcome, warnings=tuple(warnings))
