"""Images of one collection in another, with the embeddings of the other one's model.

Made so that whatever is deleted, changed or ingested meanwhile is right in both at the end: what
was read is looked at again after it was written.
"""

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime

import numpy as np

from petsearch.domain import ImageRecord, ModelInfo, Pixels, Point, Priority
from petsearch.domain.errors import NotFound
from petsearch.embedding import BreedTagger
from petsearch.observability import get_logger
from petsearch.photos import StoredPixels
from petsearch.ports import Embedder, ObjectStore, tombstones
from petsearch.ports.optimistic import repeat_until_done
from petsearch.ports.raw_index import RawIndex

log = get_logger(__name__)


@dataclass(frozen=True)
class Copied:
    """What became of images that were to be copied, but for those that were; the ids of each."""

    there: tuple[str, ...] = ()
    """Those that the other collection had before."""
    gone: tuple[str, ...] = ()
    """Those that were deleted meanwhile, or are being deleted."""
    failed: dict[str, str] = field(default_factory=dict)
    """Why, by id."""


class PointMaker:
    """Makes points for a model from records and stored originals."""

    def __init__(self, embedder: Embedder, pixels: StoredPixels) -> None:
        self._embedder = embedder
        self._pixels = pixels
        self._tagger = BreedTagger(embedder)

    def make(
        self, records: Sequence[ImageRecord], model: ModelInfo
    ) -> tuple[list[Point], dict[str, str]]:
        """Points with embeddings and predictions of `model`, and why the others have none.

        Raises:
            Unavailable, Conflict: the embedder does not answer, or does not hold the model.
        """
        read = self._pixels.read([record.image_id for record in records], model.pixel_spec)
        pairs = list(zip(records, read, strict=True))
        failed = {record.image_id: why for record, why in pairs if isinstance(why, str)}
        good = [(record, found) for record, found in pairs if not isinstance(found, str)]
        if not good:
            return [], failed
        return self._embed([r for r, _ in good], [p for _, p in good], model), failed

    def _embed(
        self, records: Sequence[ImageRecord], pixels: Sequence[Pixels], model: ModelInfo
    ) -> list[Point]:
        embeddings = self._embedder.embed_pixels(
            np.stack(pixels), model_id=model.model_id, priority=Priority.INGEST
        )
        # A model without labels predicts nothing.
        predictions = (
            self._tagger.predict(model, embeddings) if model.labels else [None] * len(records)
        )
        return [
            Point(replace(record, prediction=prediction, model_id=model.model_id), embedding)
            for record, prediction, embedding in zip(records, predictions, embeddings, strict=True)
        ]


@dataclass(frozen=True, kw_only=True)
class Copier:
    """Copies images from one collection to another. Safe to call from several threads."""

    index: RawIndex
    store: ObjectStore
    points: PointMaker
    clock: Callable[[], datetime]

    def copy(self, source: str, target: str, model: ModelInfo, image_ids: Sequence[str]) -> Copied:
        """Insert images that `target` lacks, embedded with its `model`."""
        there = self.index.get(target, image_ids)
        records = self.index.get(source, [i for i in image_ids if i not in there])
        wanted = [record for record in records.values() if not self._is_deleted(record)]
        points, unread = self.points.make(wanted, model)
        # Records may have changed since, and a delete may have removed an original: read again.
        fresh = self.index.get(source, [record.image_id for record in wanted])
        failed = {
            i: why for i, why in unread.items() if i in fresh and not self._is_deleted(fresh[i])
        }
        made = [
            Point(carried(fresh[p.record.image_id], p.record), p.embedding)
            for p in points
            if p.record.image_id in fresh
        ]
        self.index.insert(target, made)
        self._withdraw_deleted(source, target, [point.record.image_id for point in made])
        carry(self.index, source, target, [*there, *(p.record.image_id for p in made)])
        known = {*there, *failed, *(point.record.image_id for point in made)}
        gone = tuple(image_id for image_id in image_ids if image_id not in known)
        return Copied(tuple(there), gone, failed)

    def _withdraw_deleted(self, source: str, target: str, image_ids: Sequence[str]) -> None:
        """A delete may have come between reading and inserting: it leaves one of these signs."""
        still = self.index.get(source, image_ids)
        if gone := [i for i in image_ids if i not in still or self._is_deleted(still[i])]:
            log.info("deleted while they were copied", count=len(gone))
            self.index.delete(target, gone)

    def _is_deleted(self, record: ImageRecord) -> bool:
        return tombstones.is_deleted(self.store, record, self.clock())


def carried(wanted: ImageRecord, there: ImageRecord) -> ImageRecord:
    """The record `wanted` for the collection of `there`: what its model says stays."""
    return replace(wanted, prediction=there.prediction, model_id=there.model_id)


def carry(index: RawIndex, source: str, target: str, image_ids: Sequence[str]) -> None:
    """Make the records of `target` say what those of `source` do, until they do.

    Whoever changes a record changes it in the current collection first, so the last one to look
    finds what stays.
    """

    def attempt(ids: Sequence[str]) -> list[str]:
        wanted, there = index.get(source, ids), index.get(target, ids)
        pairs = [(wanted[i], there[i]) for i in ids if i in wanted and i in there]
        stale = [carried(one, other) for one, other in pairs if carried(one, other) != other]
        with suppress(NotFound):  # one was deleted just now; the next round finds which
            index.replace_records(target, stale)
        return [record.image_id for record in stale]

    repeat_until_done(list(image_ids), attempt)
