"""The index in this process: Qdrant Edge, one folder per collection and a pointer file.

Edge has no aliases; the file `current` names the current collection and is replaced atomically.
Search runs over unoptimised segments, which is exact; `EdgeShard.optimize` holds the GIL to its
end and must never be called in a serving process.
"""

import shutil
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

import numpy as np
import qdrant_edge as edge

from petsearch.adapters.objects import write_atomically
from petsearch.adapters.qdrant.conditions import left_alone
from petsearch.adapters.qdrant.edge_filters import filter_of_version, to_filter
from petsearch.adapters.qdrant.payload import (
    DATETIME_FIELDS,
    INTEGER_FIELDS,
    KEYWORD_FIELDS,
    LOCATION_FIELD,
    VERSION_FIELD,
    from_payload,
    to_payload,
    version_from,
)
from petsearch.adapters.qdrant.time_pages import latest_of, newest_page
from petsearch.domain import Embedding, Filters, Hit, ImageRecord, Point, SortBy
from petsearch.domain.errors import (
    ConfigurationError,
    Conflict,
    InvalidInput,
    NotFound,
    StorageFull,
    Unavailable,
)
from petsearch.ports import RecordChange

_POINTER = "current"
_FACET_VALUES = 10_000
_ROOM_BYTES = 32 * 1024 * 1024


class QdrantEdgeIndex:
    """The `Index` port over Qdrant Edge. One process per folder.

    Raises:
        ConfigurationError: another process has the folder open.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._shards: dict[str, edge.EdgeShard] = {}
        self._opening = threading.Lock()
        self._pointing = threading.Lock()
        folder.mkdir(parents=True, exist_ok=True)
        self._current = self._read_pointer()

    def create_collection(self, collection: str, dim: int) -> None:
        """See `Index.create_collection`."""
        with self._opening:
            if self._path(collection).exists():
                return
            # Built under another name, so that a crash leaves no half-made collection.
            building = self._folder / f".building-{collection}"
            _remove_tree(building)
            building.mkdir(parents=True)
            with _translated():
                config = edge.EdgeConfig(
                    vectors=edge.EdgeVectorParams(size=dim, distance=edge.Distance.Cosine)
                )
                shard = edge.EdgeShard.create(str(building), config)
                _add_missing_indexes(shard)
                shard.flush()
                shard.close()
            self._path(collection).parent.mkdir(exist_ok=True)
            building.rename(self._path(collection))

    def current(self) -> str | None:
        """See `Index.current`."""
        # Every request asks. The folder is this process's alone, so nobody else moves the pointer.
        return self._current

    def point_alias_to(self, collection: str) -> None:
        """See `Index.point_alias_to`."""
        self._shard(collection)
        with self._pointing:
            write_atomically(self._folder / _POINTER, collection.encode())
            self._current = collection

    def insert(self, collection: str, points: Sequence[Point]) -> None:
        """See `Index.insert`."""
        if not points:
            return
        rows = [
            edge.Point(p.record.image_id, p.embedding.tolist(), to_payload(p.record))
            for p in points
        ]
        self._check_room()
        with _translated():
            self._shard(collection).update(
                edge.UpdateOperation.upsert_points(rows, update_mode=edge.UpdateMode.InsertOnly)
            )

    def replace_records(self, collection: str, records: Sequence[ImageRecord]) -> None:
        """See `Index.replace_records`."""
        self._check_room()
        with _translated():
            shard = self._shard(collection)
            for record in records:
                shard.update(
                    edge.UpdateOperation.overwrite_payload([record.image_id], to_payload(record))
                )

    def replace_unchanged(self, collection: str, changes: Sequence[RecordChange]) -> set[str]:
        """See `Index.replace_unchanged`."""
        self._check_room()
        with _translated():
            shard = self._shard(collection)
            for before, after in changes:
                shard.update(
                    edge.UpdateOperation.overwrite_payload_by_filter(
                        filter_of_version(before), to_payload(after)
                    )
                )
        return left_alone(changes, self.get(collection, [after.image_id for _, after in changes]))

    def get(self, collection: str, image_ids: Sequence[str]) -> dict[str, ImageRecord]:
        """See `Index.get`."""
        with _translated():
            found = self._shard(collection).retrieve(
                list(image_ids), with_payload=True, with_vector=False
            )
        return {str(r.id): from_payload(str(r.id), r.payload or {}) for r in found}

    def get_embedding(self, collection: str, image_id: str) -> Embedding:
        """See `Index.get_embedding`."""
        with _translated():
            found = self._shard(collection).retrieve(
                [image_id], with_payload=False, with_vector=True
            )
        if not found:
            raise NotFound(f"There is no image {image_id}.")
        return np.asarray(found[0].vector, dtype=np.float32)

    def read_points(self, collection: str, image_ids: Sequence[str]) -> list[Point]:
        """See `Index.read_points`."""
        with _translated():
            found = self._shard(collection).retrieve(
                list(image_ids), with_payload=True, with_vector=True
            )
        return [
            Point(from_payload(str(r.id), r.payload or {}), np.asarray(r.vector, dtype=np.float32))
            for r in found
        ]

    def search(
        self,
        collection: str,
        embedding: Embedding,
        *,
        limit: int,
        filters: Filters,
        min_score: float | None = None,
        exact: bool = False,  # noqa: ARG002  # it always is
    ) -> list[Hit]:
        """See `Index.search`."""
        request = edge.QueryRequest(
            limit=limit,
            query=edge.Query.Nearest(embedding.tolist()),
            filter=to_filter(filters),
            score_threshold=min_score,
            with_payload=True,
        )
        with _translated():
            found = self._shard(collection).query(request)
        return [Hit(from_payload(str(p.id), p.payload or {}), p.score) for p in found]

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
        shard = self._shard(collection)

        def latest(wanted: Filters, most: int) -> list[ImageRecord]:
            start = latest_of(wanted, sort)
            order = edge.OrderBy(
                sort, edge.Direction.Desc, start_from=start.isoformat() if start else None
            )
            return _scrolled(shard, to_filter(wanted), limit=most, order_by=order)

        def by_id(wanted: Filters, after: str | None, most: int) -> list[ImageRecord]:
            # One more than asked for, because the scroll begins with `after` itself.
            found = _scrolled(shard, to_filter(wanted), limit=most + 1, offset=after)
            return [record for record in found if record.image_id != after][:most]

        return newest_page(filters, sort, limit=limit, cursor=before, latest=latest, by_id=by_id)

    def list_ids(self, collection: str, *, after: str | None, limit: int) -> list[str]:
        """See `Index.list_ids`."""
        # One more than asked for, because the scroll begins with `after` itself.
        request = edge.ScrollRequest(offset=after, limit=limit + 1, with_payload=False)
        with _translated():
            found, _ = self._shard(collection).scroll(request)
        return [str(r.id) for r in found if str(r.id) != after][:limit]

    def list_versions(
        self, collection: str, *, after: str | None, limit: int
    ) -> list[tuple[str, datetime]]:
        """See `Index.list_versions`."""
        request = edge.ScrollRequest(offset=after, limit=limit + 1, with_payload=[VERSION_FIELD])
        with _translated():
            found, _ = self._shard(collection).scroll(request)
        versions = [(str(r.id), version_from(r.payload or {})) for r in found]
        return [version for version in versions if version[0] != after][:limit]

    def count(self, collection: str, filters: Filters) -> int:
        """See `Index.count`."""
        with _translated():
            return self._shard(collection).count(
                edge.CountRequest(exact=True, filter=to_filter(filters))
            )

    def facet(self, collection: str, field: str, filters: Filters) -> dict[str, int]:
        """See `Index.facet`."""
        request = edge.FacetRequest(
            field, limit=_FACET_VALUES, exact=True, filter=to_filter(filters)
        )
        with _translated():
            return {str(hit.value): hit.count for hit in self._shard(collection).facet(request)}

    def delete(self, collection: str, image_ids: Sequence[str]) -> None:
        """See `Index.delete`."""
        with _translated():
            self._shard(collection).update(edge.UpdateOperation.delete_points(list(image_ids)))

    def delete_collection(self, collection: str) -> None:
        """See `Index.delete_collection`. Whoever still searches there must have ended."""
        if collection == self._current:
            raise Conflict(f"The collection {collection!r} is the current one.")
        path, leaving = self._path(collection), self._folder / f".leaving-{collection}"
        with self._opening:
            shard = self._shards.pop(collection, None)
            if path.exists():
                # By one step, so that a crash leaves no half-deleted collection.
                _remove_tree(leaving)
                path.rename(leaving)
            if shard is not None:
                with _translated():
                    shard.close()
            _remove_tree(leaving)

    def ping(self) -> None:
        """See `Index.ping`."""
        current = self.current()
        if current:
            self._shard(current)

    def close(self) -> None:
        """Flush and release every shard."""
        with self._opening:
            for shard in self._shards.values():
                with _translated():
                    shard.flush()
                    shard.close()
            self._shards.clear()

    def _check_room(self) -> None:
        # Edge writes into mapped files with holes: on a full disk the kernel ends the process.
        if shutil.disk_usage(self._folder).free < _ROOM_BYTES:
            raise StorageFull(
                f"The disk of the index has less than {_ROOM_BYTES / 1e6:.0f} MB left; free some "
                "space and the work goes on by itself."
            )

    def _read_pointer(self) -> str | None:
        pointer = self._folder / _POINTER
        return pointer.read_text().strip() if pointer.exists() else None

    def _path(self, collection: str) -> Path:
        return self._folder / "collections" / collection

    def _shard(self, collection: str) -> edge.EdgeShard:
        shard = self._shards.get(collection)
        return shard if shard is not None else self._load(collection)

    def _load(self, collection: str) -> edge.EdgeShard:
        with self._opening:
            if collection in self._shards:
                return self._shards[collection]
            path = self._path(collection)
            if not path.exists():
                raise NotFound(f"There is no collection {collection!r}.")
            with _translated():
                shard = edge.EdgeShard.load(str(path))
                _add_missing_indexes(shard)
            self._shards[collection] = shard
            return shard


def _scrolled(
    shard: edge.EdgeShard,
    wanted: edge.Filter | None,
    *,
    limit: int,
    order_by: edge.OrderBy | None = None,
    offset: str | None = None,
) -> list[ImageRecord]:
    request = edge.ScrollRequest(
        limit=limit, filter=wanted, order_by=order_by, offset=offset, with_payload=True
    )
    with _translated():
        found, _ = shard.scroll(request)
    return [from_payload(str(r.id), r.payload or {}) for r in found]


def _add_missing_indexes(shard: edge.EdgeShard) -> None:
    """Payload indexes on every field that can be filtered; a folder of before may lack some."""
    fields = dict.fromkeys(KEYWORD_FIELDS, edge.PayloadSchemaType.Keyword)
    fields |= dict.fromkeys(INTEGER_FIELDS, edge.PayloadSchemaType.Integer)
    fields |= dict.fromkeys(DATETIME_FIELDS, edge.PayloadSchemaType.Datetime)
    fields[LOCATION_FIELD] = edge.PayloadSchemaType.Geo
    present = shard.info().payload_schema
    for name, kind in fields.items():
        if name not in present:
            shard.update(edge.UpdateOperation.create_field_index(name, kind))


def _remove_tree(path: Path) -> None:
    if not path.exists():
        return
    for child in path.iterdir():
        if child.is_dir():
            _remove_tree(child)
        else:
            child.unlink()
    path.rmdir()


@contextmanager
def _translated() -> Iterator[None]:
    """Edge raises bare `Exception`s; say which of ours they are."""
    try:
        yield
    except (NotFound, InvalidInput):
        raise
    except Exception as error:  # Edge names no class of its own
        message = str(error)
        if "No point with id" in message:
            raise NotFound(f"{message}.") from error
        if "WouldBlock" in message:
            raise ConfigurationError("The index folder is open in another process.") from error
        if "No space left" in message or "os error 28" in message:
            raise StorageFull("The disk of the index is full; free some space.") from error
        raise Unavailable(f"The index failed: {message}") from error
