"""Processes the items of a reindex job: copies images, then compares ranges of ids.

Every step may be repeated: images that are already copied are left unchanged.
"""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from typing import TypeVar

from petsearch.domain import Item, ItemStatus, Job, ModelInfo, Outcome, object_keys
from petsearch.domain.errors import Conflict, Unavailable
from petsearch.ingest.one_by_one import one_by_one
from petsearch.ingest.outcomes import DELETED
from petsearch.jobs.chunk_runner import ChunkRun
from petsearch.models import Catalogue, model_id_of
from petsearch.observability import get_logger
from petsearch.ports import ChunkLedger, ObjectStore, Stage, tombstones
from petsearch.ports.raw_index import RawIndex
from petsearch.reindex.backfill import Copied, Copier, carry
from petsearch.reindex.source import COPY, Range, read_reindex_spec
from petsearch.reindex.write_set import WriteSet

log = get_logger(__name__)

_T = TypeVar("_T")
_PAGE = 1000
_COPIES_TIMEOUT_S = 2.0
"""How long a comparison waits for the copies before the chunk is handed back."""
_POLL_S = 0.05

_THERE = "The new collection had it already."


@dataclass(frozen=True, kw_only=True)
class Reindexer:
    """The `ItemProcessor` of reindex jobs. Thread-safe."""

    index: RawIndex
    store: ObjectStore
    ledger: ChunkLedger
    catalogue: Catalogue
    write_set: WriteSet
    copier: Copier
    batch_size: int

    def process(self, run: ChunkRun, items: Sequence[Item]) -> list[Outcome]:
        """See `ItemProcessor.process`."""
        target = self._target_of(run.job)
        model = self.catalogue.model(model_id_of(target))
        if run.one_by_one:
            alone = partial(self._process_alone, run, target, model)
            each = self._in_turn(run, items)
            return [*one_by_one(run, self.ledger, each, alone, image_of=_image_of)]
        outcomes: list[Outcome] = []
        copies = [item for item in items if _is_copy(item)]
        for batch in _batches(copies, self.batch_size):
            if run.should_stop():
                return outcomes
            outcomes += self._copy(run, target, model, batch)
        for item in self._in_turn(run, items[len(copies) :]):
            if run.should_stop():
                break
            outcomes.append(self._compare(run, target, model, item))
        return outcomes

    def _process_alone(self, run: ChunkRun, target: str, model: ModelInfo, item: Item) -> Outcome:
        if _is_copy(item):
            return self._copy(run, target, model, [item])[0]
        return self._compare(run, target, model, item)

    def _in_turn(self, run: ChunkRun, items: Sequence[Item]) -> Iterator[Item]:
        """The items up to the first range that other chunks still copy for."""
        # The copies of this chunk are not accounted for before its end.
        own_copies = sum(_is_copy(item) for item in run.items)
        for item in items:
            if not _is_copy(item):
                items_before = Range.of(item.origin or "").items_before - own_copies
                if not self._is_turn(run.job, items_before):
                    return
            yield item

    def _target_of(self, job: Job) -> str:
        """The new collection.

        Raises:
            Conflict: it was dropped.
        """
        # Not from `job.source`, which is a text for people.
        spec = read_reindex_spec(self.ledger.spec(job.job_id) or "")
        if spec is None or spec.collection not in self.write_set.store.read().collections:
            raise Conflict("The collection of this reindex was dropped; cancel the job.")
        return spec.collection

    def _copy(
        self, run: ChunkRun, target: str, model: ModelInfo, items: Sequence[Item]
    ) -> list[Outcome]:
        ids = [_origin(item)[1] for item in items]
        source = self.catalogue.collection()
        copied = (
            Copied(there=tuple(ids))
            if source == target
            else self._copied(run, source, target, model, ids)
        )
        return [
            _outcome_of_copy(item, i, copied, attempts=run.failures[i] or 1)
            for item, i in zip(items, ids, strict=True)
        ]

    def _copied(
        self, run: ChunkRun, source: str, target: str, model: ModelInfo, image_ids: Sequence[str]
    ) -> Copied:
        """As `Copier.copy`; one by one, an image that the model fails on has failed in the end."""
        try:
            return self.copier.copy(source, target, model, image_ids)
        except Unavailable as error:
            if not run.count_failure(image_ids[0], error):
                raise
            log.error("image not copied", image_id=image_ids[0], exc_info=error)
            return Copied(failed={image_ids[0]: error.detail})

    def _is_turn(self, job: Job, items_before: int) -> bool:
        """Whether all earlier items are accounted for, after waiting for a short time."""
        deadline = time.monotonic() + _COPIES_TIMEOUT_S
        while self.ledger.get(job.job_id).done < items_before:
            if time.monotonic() > deadline:
                return False
            time.sleep(_POLL_S)
        return True

    def _compare(self, run: ChunkRun, target: str, model: ModelInfo, item: Item) -> Outcome:
        """Repair the differences between the collections in a range of ids."""
        source, wanted = self.catalogue.collection(), Range.of(item.origin or "")
        batch_size = 1 if run.one_by_one else self.batch_size
        if source == target:
            return _outcome(item, ItemStatus.DUPLICATE, _THERE)
        # The new one first: an ingest writes to it before it writes to the current one.
        there = dict(self._versions(target, wanted))
        here = dict(self._versions(source, wanted))
        missing = sorted(here.keys() - there.keys())
        stale = [i for i, changed_at in here.items() if there.get(i, changed_at) != changed_at]
        extra = sorted(there.keys() - here.keys())
        failed: dict[str, str] = {}
        gone = 0
        for batch in _batches(missing, batch_size):
            copied = self._copied(run, source, target, model, batch)
            failed |= copied.failed
            gone += len(copied.gone)
        carry(self.index, source, target, stale)
        for batch in _batches(extra, batch_size):
            failed |= self._repair_extra(run, source, target, batch)
        if missing or stale or extra:
            log.info(
                "range repaired", missing=len(missing) - gone, changed=len(stale), extra=len(extra)
            )
        if failed:
            image_id, why = next(iter(failed.items()))
            reason = f"{len(failed)} failed, such as {image_id}: {why}"
            return _outcome(item, ItemStatus.FAILED, reason)
        reason = (
            f"{len(missing) - gone} missing, {len(stale)} changed, {len(extra)} not current; "
            "repaired."
        )
        return _outcome(item, ItemStatus.DUPLICATE, reason)

    def _repair_extra(
        self, run: ChunkRun, source: str, target: str, image_ids: Sequence[str]
    ) -> dict[str, str]:
        """Repair images that only the new collection has: half deleted, or half ingested.

        Returns:
            Why some could not be repaired, by id.
        """
        here = self.index.get(source, image_ids)
        now = self.copier.clock()
        half = [
            i for i in image_ids if i not in here and not tombstones.is_fresh(self.store, i, now)
        ]
        # If its original is stored, an ingest was interrupted before its last step: finish it.
        failed: dict[str, str] = {}
        if whole := [i for i in half if self._was_stored(i)]:
            model = self.catalogue.model(model_id_of(source))
            failed = self._copied(run, target, source, model, whole).failed
        self.index.delete(target, [i for i in half if i not in set(whole)])
        return failed

    def _was_stored(self, image_id: str) -> bool:
        is_there = self.store.find(object_keys.original(image_id)) is not None
        return is_there and tombstones.version(self.store, image_id) is None

    def _versions(self, collection: str, wanted: Range) -> Iterator[tuple[str, datetime]]:
        after = wanted.after or None
        while page := self.index.list_versions(collection, after=after, limit=_PAGE):
            for image_id, changed_at in page:
                if wanted.until and image_id > wanted.until:
                    return
                yield image_id, changed_at
            after = page[-1][0]


def _origin(item: Item) -> list[str]:
    return (item.origin or "").split(":")


def _is_copy(item: Item) -> bool:
    return _origin(item)[0] == COPY


def _image_of(item: Item) -> str | None:
    return _origin(item)[1] if _is_copy(item) else None


def _outcome_of_copy(item: Item, image_id: str, copied: Copied, *, attempts: int) -> Outcome:
    if image_id in copied.failed:
        failed = _outcome(item, ItemStatus.FAILED, copied.failed[image_id], image_id)
        return replace(failed, attempts=attempts)
    if image_id in copied.there:
        return _outcome(item, ItemStatus.DUPLICATE, _THERE, image_id)
    if image_id in copied.gone:
        return _outcome(item, ItemStatus.DUPLICATE, DELETED, image_id)
    return _outcome(item, ItemStatus.INGESTED, None, image_id)


def _outcome(
    item: Item, status: ItemStatus, reason: str | None, image_id: str | None = None
) -> Outcome:
    stage = Stage.EMBED.value if status is ItemStatus.FAILED else None
    return Outcome(item.item_no, "", status, image_id=image_id, reason=reason, stage=stage)


def _batches(items: Sequence[_T], size: int) -> Iterator[Sequence[_T]]:
    return (items[at : at + size] for at in range(0, len(items), size))
