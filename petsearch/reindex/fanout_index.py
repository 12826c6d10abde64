"""An index whose changes reach every collection of the write set.

Reads go to the one collection that is named. Inserts go to the others first and deletes and changes
to the named one first: what is in the current collection is in all, and what a reindex reads last
is what holds.
"""

from collections.abc import Callable, Sequence
from datetime import datetime

from petsearch.domain import Embedding, Filters, Hit, ImageRecord, ModelInfo, Point, SortBy
from petsearch.domain.errors import Conflict, NotFound
from petsearch.observability import get_logger
from petsearch.ports import Index, RecordChange
from petsearch.reindex.backfill import PointMaker, carry
from petsearch.reindex.write_set import WriteSet

log = get_logger(__name__)


class WriteThrough:
    """The `Index` port over another one.

    Args:
        points: makes points for the other collections; None where nothing is inserted.
        model_of: the loaded model of a collection.
    """

    def __init__(
        self,
        index: Index,
        write_set: WriteSet,
        *,
        points: PointMaker | None = None,
        model_of: Callable[[str], ModelInfo] | None = None,
    ) -> None:
        self._index = index
        self._write_set = write_set
        self._points = points
        self._model_of = model_of

    def insert(self, collection: str, points: Sequence[Point]) -> None:
        """See `Index.insert`. Takes longer while there are others: each has its own model."""
        if not points:
            return
        ready = {name: self._made_for(name, points) for name in self._others(collection)}
        ready[collection] = points

        def write(name: str) -> None:
            if name not in ready:  # it came into the set since
                ready[name] = self._made_for(name, points)
            self._index.insert(name, ready[name])

        self._write_set.through(collection, write, current_last=True)

    def replace_records(self, collection: str, records: Sequence[ImageRecord]) -> None:
        """See `Index.replace_records`."""
        if not records:
            return
        ids = [record.image_id for record in records]

        def write(name: str) -> None:
            if name == collection:
                self._index.replace_records(name, records)
            else:
                carry(self._index, collection, name, ids)

        self._write_set.through(collection, write, current_last=False)

    def replace_unchanged(self, collection: str, changes: Sequence[RecordChange]) -> set[str]:
        """See `Index.replace_unchanged`."""
        left: set[str] = set()
        if not changes:
            return left
        ids = [after.image_id for _, after in changes]

        def write(name: str) -> None:
            if name == collection:
                left.update(self._index.replace_unchanged(name, changes))
            else:
                carry(self._index, collection, name, [i for i in ids if i not in left])

        self._write_set.through(collection, write, current_last=False)
        return left

    def delete(self, collection: str, image_ids: Sequence[str]) -> None:
        """See `Index.delete`."""
        self._write_set.through(
            collection, lambda name: self._index.delete(name, image_ids), current_last=False
        )

    def get(self, collection: str, image_ids: Sequence[str]) -> dict[str, ImageRecord]:
        """See `Index.get`; `Conflict` if the collection was dropped."""
        try:
            return self._index.get(collection, image_ids)
        except NotFound as error:
            if self._index.current() == collection:
                raise
            raise Conflict(f"The collection {collection!r} was dropped meanwhile.") from error

    # --- passed on --------------------------------------------------------------------------

    def create_collection(self, collection: str, dim: int) -> None:
        """See `Index.create_collection`."""
        self._index.create_collection(collection, dim)

    def current(self) -> str | None:
        """See `Index.current`."""
        return self._index.current()

    def point_alias_to(self, collection: str) -> None:
        """See `Index.point_alias_to`."""
        self._index.point_alias_to(collection)

    def get_embedding(self, collection: str, image_id: str) -> Embedding:
        """See `Index.get_embedding`."""
        return self._index.get_embedding(collection, image_id)

    def read_points(self, collection: str, image_ids: Sequence[str]) -> list[Point]:
        """See `Index.read_points`."""
        return self._index.read_points(collection, image_ids)

    def search(
        self,
        collection: str,
        embedding: Embedding,
        *,
        limit: int,
        filters: Filters,
        min_score: float | None = None,
        exact: bool = False,
    ) -> list[Hit]:
        """See `Index.search`."""
        return self._index.search(
            collection, embedding, limit=limit, filters=filters, min_score=min_score, exact=exact
        )

    def list_newest(
        self,
        collection: str,
        *,
        limit: int,
        filters: Filters,
        before: str | None = None,
        sort: SortBy = "created_at",
    ) -> tuple[list[ImageRecord], str | None]:
        """See `Index.list_newest`."""
        return self._index.list_newest(
            collection, limit=limit, filters=filters, before=before, sort=sort
        )

    def list_ids(self, collection: str, *, after: str | None, limit: int) -> list[str]:
        """See `Index.list_ids`."""
        return self._index.list_ids(collection, after=after, limit=limit)

    def list_versions(
        self, collection: str, *, after: str | None, limit: int
    ) -> list[tuple[str, datetime]]:
        """See `Index.list_versions`."""
        return self._index.list_versions(collection, after=after, limit=limit)

    def count(self, collection: str, filters: Filters) -> int:
        """See `Index.count`."""
        return self._index.count(collection, filters)

    def facet(self, collection: str, field: str, filters: Filters) -> dict[str, int]:
        """See `Index.facet`."""
        return self._index.facet(collection, field, filters)

    def delete_collection(self, collection: str) -> None:
        """See `Index.delete_collection`."""
        self._index.delete_collection(collection)

    def ping(self) -> None:
        """See `Index.ping`."""
        self._index.ping()

    def close(self) -> None:
        """See `Index.close`."""
        self._index.close()

    # --- the other collections --------------------------------------------------------------

    def _others(self, collection: str) -> list[str]:
        return [name for name in self._write_set.read().collections if name != collection]

    def _made_for(self, name: str, points: Sequence[Point]) -> Sequence[Point]:
        assert self._points is not None and self._model_of is not None, "this only reads"
        made, failed = self._points.make([point.record for point in points], self._model_of(name))
        if failed:
            # Deleted, or damaged, since they were stored: the comparison of a reindex finds them.
            log.warning("not indexed with the other model", collection=name, images=failed)
        return made
