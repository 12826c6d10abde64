"""What a worker does with a chunk of a reindex job: copies images, compares ranges of ids.

Every step may be repeated: what is there already is left alone.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from itertools import islice

from petsearch.domain import Item, ItemStatus, Job, ModelInfo, Outcome, object_keys
from petsearch.domain.errors import Conflict
from petsearch.jobs import chunk_files
from petsearch.models import Catalogue, model_id_of
from petsearch.observability import get_logger
from petsearch.ports import ChunkLedger, ObjectStore, Stage
from petsearch.ports.raw_index import RawIndex
from petsearch.reindex.backfill import Copied, Copier, carry, exists
from petsearch.reindex.source import COPY, Range, read_reindex_spec
from petsearch.reindex.write_set import WriteSet

log = get_logger(__name__)

_PAGE = 1000
_PATIENCE_S = 2.0
"""For so long a comparison waits for the copying before it lets others work."""
_LOOK_AGAIN_S = 0.05

_DELETED = "It was deleted meanwhile."
_THERE = "The new collection had it already."


class Reindexer:
    """Runs chunks of reindex jobs. Safe to call from several threads at once.

    Args:
        clock: the time now, with a time zone.
    """

    def __init__(
        self,
        *,
        index: RawIndex,
        store: ObjectStore,
        ledger: ChunkLedger,
        catalogue: Catalogue,
        write_set: WriteSet,
        copier: Copier,
        batch_size: int,
        clock: Callable[[], datetime],
    ) -> None:
        self._index = index
        self._store = store
        self._ledger = ledger
        self._catalogue = catalogue
        self._write_set = write_set
        self._copier = copier
        self._batch_size = batch_size
        self._clock = clock

    def run_chunk(self, job: Job, chunk_no: int, should_stop: Callable[[], bool]) -> bool:
        """Bring every item of a chunk to an outcome and account them once.

        Returns:
            False if it was told to stop before all items had one; nothing is accounted then.

        Raises:
            Unavailable, Conflict: a part does not answer, or does not hold a model; the same call
                finishes the work later.
        """
        items = chunk_files.read_chunk(self._store, job.job_id, chunk_no)
        outcomes = chunk_files.find_outcomes(self._store, job.job_id, chunk_no)
        if outcomes is None:
            found = tuple(self._run(job, items, should_stop))
            if len(found) < len(items) and not self._ledger.get(job.job_id).cancelled:
                return False
            outcomes = found
            chunk_files.write_outcomes(self._store, job.job_id, chunk_no, outcomes)
        counts = Counter(outcome.status for outcome in outcomes)
        counted = self._ledger.account_chunk(job.job_id, chunk_no, counts, self._clock())
        log.info("reindex chunk accounted", counted=counted, items=len(outcomes))
        return True

    def _run(
        self, job: Job, items: Sequence[Item], should_stop: Callable[[], bool]
    ) -> Iterator[Outcome]:
        target = self._target_of(job)
        model = self._catalogue.model(model_id_of(target))
        copies = [item for item in items if _words(item)[0] == COPY]
        waiting = iter(copies)
        while batch := list(islice(waiting, self._batch_size)):
            if should_stop():
                return
            yield from self._copy(target, model, batch)
        for item in items[len(copies) :]:
            wanted = Range.of(item.origin or "")
            # What this chunk copied is not accounted before its end.
            if should_stop() or not self._is_turn(job, wanted.items_before - len(copies)):
                return
            yield self._compare(target, model, item, wanted)

    def _target_of(self, job: Job) -> str:
        """The new collection.

        Raises:
            Conflict: it was dropped.
        """
        # A job's source says it, too, but people read that.
        spec = read_reindex_spec(self._ledger.spec(job.job_id) or "")
        state = self._write_set.read()
        if spec is None or spec.collection not in state.collections:
            raise Conflict("The collection of this reindex was dropped; cancel the job.")
        return spec.collection

    def _copy(self, target: str, model: ModelInfo, items: Sequence[Item]) -> list[Outcome]:
        ids = [_words(item)[1] for item in items]
        source = self._catalogue.collection()
        copied = (
            Copied(there=tuple(ids))
            if source == target
            else self._copier.copy(source, target, model, ids)
        )
        return [_outcome_of_copy(item, i, copied) for item, i in zip(items, ids, strict=True)]

    def _is_turn(self, job: Job, items_before: int) -> bool:
        """Whether all copying is accounted; waits for it a little."""
        deadline = time.monotonic() + _PATIENCE_S
        while self._ledger.get(job.job_id).done < items_before:
            if time.monotonic() > deadline:
                return False
            time.sleep(_LOOK_AGAIN_S)
        return True

    def _compare(self, target: str, model: ModelInfo, item: Item, wanted: Range) -> Outcome:
        """Mend what differs in a range of ids."""
        source = self._catalogue.collection()
        if source == target:
            return _outcome(item, ItemStatus.DUPLICATE, _THERE)
        # The new one first: what an ingest writes is there before it is in the current one.
        there = dict(self._versions(target, wanted))
        here = dict(self._versions(source, wanted))
        missing = sorted(here.keys() - there.keys())
        stale = [i for i, changed_at in here.items() if there.get(i, changed_at) != changed_at]
        extra = sorted(there.keys() - here.keys())
        failed: dict[str, str] = {}
        for batch in _batches(missing, self._batch_size):
            failed |= self._copier.copy(source, target, model, batch).failed
        carry(self._index, source, target, stale)
        for batch in _batches(extra, self._batch_size):
            self._settle_extra(source, target, batch)
        if missing or stale or extra:
            log.info("compared", missing=len(missing), stale=len(stale), extra=len(extra))
        reason = f"{len(missing)} missing, {len(stale)} changed, {len(extra)} not current; mended."
        if failed:
            reason = next(iter(failed.values()))
            return _outcome(item, ItemStatus.FAILED, f"{len(failed)} images: {reason}")
        return _outcome(item, ItemStatus.DUPLICATE, reason)

    def _settle_extra(self, source: str, target: str, image_ids: Sequence[str]) -> None:
        """Images that only the new collection has: half deleted, or half ingested."""
        here = self._index.get(source, image_ids)
        half = [i for i in image_ids if i not in here and not self._is_deleted(i)]
        # With its original, an ingest was cut off before the last step: that is done now.
        whole = [i for i in half if exists(self._store, object_keys.original(i))]
        if whole:
            model = self._catalogue.model(model_id_of(source))
            self._copier.copy(target, source, model, whole)
        self._index.delete(target, [i for i in half if i not in set(whole)])

    def _is_deleted(self, image_id: str) -> bool:
        # Whoever deletes it will delete it everywhere.
        return exists(self._store, object_keys.tombstone(image_id))

    def _versions(self, collection: str, wanted: Range) -> Iterator[tuple[str, datetime]]:
        after = wanted.after or None
        while page := self._index.list_versions(collection, after=after, limit=_PAGE):
            for image_id, changed_at in page:
                if wanted.until and image_id > wanted.until:
                    return
                yield image_id, changed_at
            after = page[-1][0]


def _words(item: Item) -> list[str]:
    return (item.origin or "").split(":")


def _outcome_of_copy(item: Item, image_id: str, copied: Copied) -> Outcome:
    if image_id in copied.failed:
        return _outcome(item, ItemStatus.FAILED, copied.failed[image_id], image_id)
    if image_id in copied.there:
        return _outcome(item, ItemStatus.DUPLICATE, _THERE, image_id)
    if image_id in copied.gone:
        return _outcome(item, ItemStatus.DUPLICATE, _DELETED, image_id)
    return _outcome(item, ItemStatus.INGESTED, None, image_id)


def _outcome(
    item: Item, status: ItemStatus, reason: str | None, image_id: str | None = None
) -> Outcome:
    stage = Stage.EMBED.value if status is ItemStatus.FAILED else None
    return Outcome(item.item_no, "", status, image_id=image_id, reason=reason, stage=stage)


def _batches(ids: Sequence[str], size: int) -> Iterator[Sequence[str]]:
    return (ids[at : at + size] for at in range(0, len(ids), size))
