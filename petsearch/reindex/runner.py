"""Processes the items of a reindex job: copies images, then compares ranges of ids.

Every step may be repeated: images that are already copied are left unchanged.
"""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

from petsearch.domain import Item, ItemStatus, Job, ModelInfo, Outcome, object_keys
from petsearch.domain.errors import Conflict
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
        outcomes: list[Outcome] = []
        copies = [item for item in items if _is_copy(item)]
        for batch in _batches(copies, self.batch_size):
            if run.should_stop():
                return outcomes
            outcomes += self._copy(target, model, batch)
        # The copies of this chunk are not accounted for before its end.
        own_copies = sum(_is_copy(item) for item in run.items)
        for item in items[len(copies) :]:
            wanted = Range.of(item.origin or "")
            if run.should_stop() or not self._is_turn(run.job, wanted.items_before - own_copies):
                break
            outcomes.append(self._compare(target, model, item, wanted))
        return outcomes

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

    def _copy(self, target: str, model: ModelInfo, items: Sequence[Item]) -> list[Outcome]:
        ids = [_origin(item)[1] for item in items]
        source = self.catalogue.collection()
        copied = (
            Copied(there=tuple(ids))
            if source == target
            else self.copier.copy(source, target, model, ids)
        )
        return [_outcome_of_copy(item, i, copied) for item, i in zip(items, ids, strict=True)]

    def _is_turn(self, job: Job, items_before: int) -> bool:
        """Whether all earlier items are accounted for, after waiting for a short time."""
        deadline = time.monotonic() + _COPIES_TIMEOUT_S
        while self.ledger.get(job.job_id).done < items_before:
            if time.monotonic() > deadline:
                return False
            time.sleep(_POLL_S)
        return True

    def _compare(self, target: str, model: ModelInfo, item: Item, wanted: Range) -> Outcome:
        """Repair the differences between the collections in a range of ids."""
        source = self.catalogue.collection()
        if source == target:
            return _outcome(item, ItemStatus.DUPLICATE, _THERE)
        # The new one first: an ingest writes to it before it writes to the current one.
        there = dict(self._versions(target, wanted))
        here = dict(self._versions(source, wanted))
        missing = sorted(here.keys() - there.keys())
        stale = [i for i, changed_at in here.items() if there.get(i, changed_at) != changed_at]
        extra = sorted(there.keys() - here.keys())
        failed: dict[str, str] = {}
        for batch in _batches(missing, self.batch_size):
            copied = self.copier.copy(source, target, model, batch)
            failed |= copied.failed
            missing = [i for i in missing if i not in copied.gone]
        carry(self.index, source, target, stale)
        for batch in _batches(extra, self.batch_size):
            self._repair_extra(source, target, batch)
        if missing or stale or extra:
            log.info("range repaired", missing=len(missing), changed=len(stale), extra=len(extra))
        if failed:
            reason = f"{len(failed)} images: {next(iter(failed.values()))}"
            return _outcome(item, ItemStatus.FAILED, reason)
        reason = (
            f"{len(missing)} missing, {len(stale)} changed, {len(extra)} not current; repaired."
        )
        return _outcome(item, ItemStatus.DUPLICATE, reason)

    def _repair_extra(self, source: str, target: str, image_ids: Sequence[str]) -> None:
        """Repair images that only the new collection has: half deleted, or half ingested."""
        here = self.index.get(source, image_ids)
        now = self.copier.clock()
        half = [i for i in image_ids if i not in here and not self._is_going(i, now)]
        # If its original is stored, an ingest was interrupted before its last step: finish it.
        if whole := [i for i in half if self._was_stored(i)]:
            self.copier.copy(target, source, self.catalogue.model(model_id_of(source)), whole)
        self.index.delete(target, [i for i in half if i not in set(whole)])

    def _is_going(self, image_id: str, now: datetime) -> bool:
        return tombstones.is_fresh(self.store, image_id, now)

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


def _outcome_of_copy(item: Item, image_id: str, copied: Copied) -> Outcome:
    if image_id in copied.failed:
        return _outcome(item, ItemStatus.FAILED, copied.failed[image_id], image_id)
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
