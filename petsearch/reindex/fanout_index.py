"""Writes images to every collection of the write set.

Inserts go to the others first and deletes and changes to the named one first: what is in the
current collection is in all, but for photos that another model fails on, and what a reindex reads
last is what holds.
"""

from collections.abc import Callable, Sequence
from contextlib import closing
from functools import partial

from petsearch.domain import ImageRecord, ModelInfo, Point
from petsearch.domain.errors import Conflict, NotFound, Unavailable, may_be_of_its_input
from petsearch.observability import get_logger
from petsearch.ports import RecordChange
from petsearch.ports.raw_index import RawIndex
from petsearch.reindex.backfill import PointMaker, carry
from petsearch.reindex.write_set import WriteSet

log = get_logger(__name__)


class FanOutIndex:
    """The `IndexWriter` port over an index and a write set.

    Args:
        points: makes points for the other collections; None where nothing is inserted.
        model_of: the loaded model of a collection.
    """

    def __init__(
        self,
        index: RawIndex,
        write_set: WriteSet,
        *,
        points: PointMaker | None = None,
        model_of: Callable[[str], ModelInfo] | None = None,
    ) -> None:
        self._index = index
        self._write_set = write_set
        self._points = points
        self._model_of = model_of

    def get(self, collection: str, image_ids: Sequence[str]) -> dict[str, ImageRecord]:
        """See `IndexWriter.get`."""
        try:
            return self._index.get(collection, image_ids)
        except NotFound as error:
            if self._index.current() == collection:
                raise
            raise Conflict(f"The collection {collection!r} was dropped meanwhile.") from error

    def insert_everywhere(
        self, collection: str, points: Sequence[Point], *, needs_all: bool = True
    ) -> None:
        """See `IndexWriter.insert_everywhere`. With other collections in the set it takes longer:
        each has its own model.
        """
        if not points:
            return
        names = self._write_set.store.read().collections
        made_for = partial(self._made_for, points, needs_all=needs_all)
        ready = {name: made_for(name) for name in names if name != collection}
        ready[collection] = points

        with closing(self._write_set.each(collection, current_last=True)) as writes:
            for write in writes:
                with write as name:
                    if name not in ready:  # it joined the set since
                        ready[name] = made_for(name)
                    self._index.insert(name, ready[name])

    def replace_everywhere(self, collection: str, changes: Sequence[RecordChange]) -> set[str]:
        """See `IndexWriter.replace_everywhere`."""
        left: set[str] = set()
        if not changes:
            return left
        ids = [after.image_id for _, after in changes]
        with closing(self._write_set.each(collection, current_last=False)) as writes:
            for write in writes:
                with write as name:
                    if name == collection:
                        left.update(self._index.replace_unchanged(name, changes))
                    else:
                        carry(self._index, collection, name, [i for i in ids if i not in left])
        return left

    def delete_everywhere(self, collection: str, image_ids: Sequence[str]) -> None:
        """See `IndexWriter.delete_everywhere`."""
        with closing(self._write_set.each(collection, current_last=False)) as writes:
            for write in writes:
                with write as name:
                    self._index.delete(name, image_ids)

    def _made_for(self, points: Sequence[Point], name: str, *, needs_all: bool) -> Sequence[Point]:
        assert self._points is not None and self._model_of is not None, "this only reads"
        records, model = [point.record for point in points], self._model_of(name)
        try:
            made, failed = self._points.make(records, model)
        except Unavailable as error:
            if needs_all or not may_be_of_its_input(error):
                raise
            made, failed = [], {record.image_id: error.detail for record in records}
        if failed:
            # Deleted, or damaged, since they were stored, or no photos that this model can embed:
            # the comparison of a reindex finds them.
            log.warning("not indexed with the other model", collection=name, images=failed)
        return made
