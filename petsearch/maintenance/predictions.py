"""Predicts species and breeds again from stored embeddings, without decoding a photo.

For photos of earlier versions, whose species is unsure until then, and after a new calibration.
Every step may be repeated.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import takewhile

import numpy as np

from petsearch.domain import Item, ItemStatus, Outcome, Point
from petsearch.domain.errors import Conflict
from petsearch.embedding import BreedTagger
from petsearch.ingest.outcomes import DELETED
from petsearch.jobs.chunk_runner import ChunkRun
from petsearch.models import Catalogue, model_id_of
from petsearch.ports import RecordChange
from petsearch.ports.optimistic import repeat_until_done
from petsearch.ports.raw_index import RawIndex
from petsearch.reindex.write_set import WriteSet

_AT_A_TIME = 16
_CURRENT = "Its prediction is of this model and calibration already."


@dataclass(frozen=True, kw_only=True)
class PredictionUpdater:
    """The `ItemProcessor` of jobs that predict again. Thread-safe."""

    index: RawIndex
    catalogue: Catalogue
    write_set: WriteSet
    tagger: BreedTagger

    def process(self, run: ChunkRun, items: Sequence[Item]) -> list[Outcome]:
        """See `ItemProcessor.process`."""
        batches = takewhile(lambda _: not run.should_stop(), _batches(items))
        return [outcome for batch in batches for outcome in self._update(batch)]

    def _update(self, items: Sequence[Item]) -> Iterator[Outcome]:
        collection = self.catalogue.collection()
        ids = [item.origin or "" for item in items]
        changed: set[str] = set()
        # In every collection of the write set, each by its own model.
        for context in self.write_set.each(collection, current_last=True):
            with context as name:
                changed |= self._predict(name, ids)
        there = self.index.get(collection, ids)
        for item, image_id in zip(items, ids, strict=True):
            if image_id not in there:
                yield _outcome(item, ItemStatus.DUPLICATE, DELETED)
            elif image_id not in changed:
                yield _outcome(item, ItemStatus.DUPLICATE, _CURRENT)
            else:
                yield _outcome(item, ItemStatus.INGESTED)

    def _predict(self, collection: str, image_ids: Sequence[str]) -> set[str]:
        """The ids of those whose prediction was outdated in a collection.

        Raises:
            Conflict: they change as fast as they are read; the same call may succeed later.
        """
        model = self.catalogue.model(model_id_of(collection))
        outdated = {
            point.record.image_id: point
            for point in self.index.read_points(collection, image_ids)
            if point.record.prediction is None
            or point.record.prediction.made_by != model.predictions_id
        }

        def attempt(left: dict[str, Point]) -> dict[str, Point]:
            points = list(left.values())
            embeddings = np.stack([point.embedding for point in points])
            changes: list[RecordChange] = [
                (point.record, replace(point.record, prediction=prediction))
                for point, prediction in zip(
                    points, self.tagger.predict(model, embeddings), strict=True
                )
            ]
            # Someone may have changed or deleted them since they were read: again, then.
            missed = self.index.replace_unchanged(collection, changes)
            return {p.record.image_id: p for p in self.index.read_points(collection, [*missed])}

        if not repeat_until_done(outdated, attempt):
            raise Conflict("Images change as fast as their predictions are made.")
        return set(outdated)


def _batches(items: Sequence[Item]) -> Iterator[Sequence[Item]]:
    return (items[at : at + _AT_A_TIME] for at in range(0, len(items), _AT_A_TIME))


def _outcome(item: Item, status: ItemStatus, reason: str | None = None) -> Outcome:
    return Outcome(item.item_no, "", status, image_id=item.origin or None, reason=reason)
