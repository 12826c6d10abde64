"""Predicts species and breeds again from stored embeddings, without decoding a photo.

For photos of earlier versions, whose species is unsure until then, and after a new calibration.
Every step may be repeated. An item is an image's id, and where the prediction has to be of one
calibration, a space and the `predictions_id` of the model with it.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import takewhile

import numpy as np

from petsearch.domain import Item, ItemStatus, ModelInfo, Outcome, Point
from petsearch.domain.errors import Conflict, SourceUnavailable
from petsearch.embedding import BreedTagger
from petsearch.ingest.outcomes import DELETED
from petsearch.jobs.chunk_runner import ChunkRun
from petsearch.models import Catalogue, model_id_of
from petsearch.ports import RecordChange
from petsearch.ports.optimistic import repeat_until_done
from petsearch.ports.raw_index import RawIndex
from petsearch.reindex.write_set import WriteSet

_AT_A_TIME = 16
NOT_SERVED = "The embedder has not read the calibration yet."
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
        ids = [_image_id(item) for item in items]
        self._check_served(collection, items)
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

    def _check_served(self, collection: str, items: Sequence[Item]) -> None:
        """Embedders are asked for their models now and then only: this process may know less.

        Raises:
            SourceUnavailable: the model is not known as it is calibrated by now.
        """
        model = self.catalogue.model(model_id_of(collection))
        made_by = {item.origin.partition(" ")[2] for item in items if item.origin}
        if model.guesses is None and any(one.startswith(f"{model.model_id}+") for one in made_by):
            raise SourceUnavailable(NOT_SERVED)

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


def item_origin(image_id: str, model: ModelInfo) -> str:
    """The item that has an image predicted again by a model, as it is calibrated now."""
    return f"{image_id} {model.predictions_id}"


def _image_id(item: Item) -> str:
    return (item.origin or "").partition(" ")[0]


def _batches(items: Sequence[Item]) -> Iterator[Sequence[Item]]:
    return (items[at : at + _AT_A_TIME] for at in range(0, len(items), _AT_A_TIME))


def _outcome(item: Item, status: ItemStatus, reason: str | None = None) -> Outcome:
    return Outcome(item.item_no, "", status, image_id=_image_id(item) or None, reason=reason)
