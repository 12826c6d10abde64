"""The index in this process: Qdrant Edge, one folder per collection and a pointer file.

Edge has no aliases; the file `current` names the current collection and is replaced atomically.
Search runs over unoptimised segments, which is exact; `EdgeShard.optimize` holds the GIL to its
end and must never be called in a serving process.
"""

import shutil
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import qdrant_edge as edge

from petsearch.adapters.qdrant.base_index import ALL, FACET_VALUES, BaseIndex, Row, record_of
from petsearch.adapters.qdrant.edge_filters import filter_of_version, to_filter
from petsearch.adapters.qdrant.payload import INDEXED_FIELDS, to_payload
from petsearch.adapters.qdrant.time_pages import latest_of
from petsearch.atomic_file import write_atomically
from petsearch.domain import Embedding, Filters, Hit, ImageRecord, Point, SortBy
from petsearch.domain.errors import (
    ConfigurationError,
    NotFound,
    PetsearchError,
    StorageFull,
    Unavailable,
)

_POINTER = "current"
_ROOM_BYTES = 32 * 1024 * 1024
_DISK_FULL = ("No space left", "os error 28", "quota exceeded", "os error 122")


@contextmanager
def edge_errors() -> Iterator[None]:
    """Raise what Edge raises, which is a bare `Exception`, as a petsearch error."""
    try:
        yield
    except PetsearchError:
        raise
    except Exception as error:  # Edge names no class of its own
        message = str(error)
        if "No point with id" in message:
            raise NotFound(f"{message}.") from error
        if "WouldBlock" in message:
            raise ConfigurationError("The index folder is open in another process.") from error
        if any(words in message for words in _DISK_FULL):
            raise StorageFull("The disk of the index is full; free some space.") from error
        raise Unavailable(f"The index failed: {message}") from error


class QdrantEdgeIndex(BaseIndex):
    """The index over Qdrant Edge. One process per folder.

    Raises:
        ConfigurationError: another process has the folder open.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._shards: dict[str, edge.EdgeShard] = {}
        self._opening = threading.Lock()
        self._pointing = threading.Lock()
        folder.mkdir(parents=True, exist_ok=True)
        pointer = folder / _POINTER
        self._current = pointer.read_text().strip() if pointer.exists() else None

    @edge_errors()
    def create_collection(self, collection: str, dim: int) -> None:
        with self._opening:
            if self._path(collection).exists():
                return
            self._check_room()
            # Built under another name, so that a crash leaves no half-made collection.
            building = self._folder / f".building-{collection}"
            _remove_tree(building)
            building.mkdir(parents=True)
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
        # Kept, because every request asks: only this process can move the pointer.
        return self._current

    def point_alias_to(self, collection: str) -> None:
        self._shard(collection)
        with self._pointing:
            write_atomically(self._folder / _POINTER, collection.encode())
            self._current = collection

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
        request = edge.QueryRequest(
            limit=limit,
            query=edge.Query.Nearest(embedding.tolist()),
            filter=to_filter(filters),
            score_threshold=min_score,
            with_payload=True,
        )
        with edge_errors():
            found = self._shard(collection).query(request)
        return [Hit(record_of(row), row.score) for row in found]

    @edge_errors()
    def count(self, collection: str, filters: Filters) -> int:
        request = edge.CountRequest(exact=True, filter=to_filter(filters))
        return self._shard(collection).count(request)

    @edge_errors()
    def facet(self, collection: str, field: str, filters: Filters) -> dict[str, int]:
        request = edge.FacetRequest(
            field, limit=FACET_VALUES, exact=True, filter=to_filter(filters)
        )
        hits = self._shard(collection).facet(request)
        # Edge also returns values that no point has any more.
        return {str(hit.value): hit.count for hit in hits if hit.count}

    def replace_embeddings(self, collection: str, embeddings: Mapping[str, Embedding]) -> None:
        self._check_room()
        rows = [edge.PointVectors(i, found.tolist()) for i, found in embeddings.items()]
        self._update(collection, [edge.UpdateOperation.update_vectors(rows)])

    def delete(self, collection: str, image_ids: Sequence[str]) -> None:
        self._update(collection, [edge.UpdateOperation.delete_points(list(image_ids))])

    def ping(self) -> None:
        if self._current:
            self._shard(self._current)

    @edge_errors()
    def close(self) -> None:
        with self._opening:
            for shard in self._shards.values():
                shard.flush()
                shard.close()
            self._shards.clear()

    def _insert(self, collection: str, points: Sequence[Point]) -> None:
        rows = [
            edge.Point(p.record.image_id, p.embedding.tolist(), to_payload(p.record))
            for p in points
        ]
        insert = edge.UpdateOperation.upsert_points(rows, update_mode=edge.UpdateMode.InsertOnly)
        self._check_room()
        self._update(collection, [insert])

    def _overwrite(
        self, collection: str, changes: Sequence[tuple[ImageRecord | None, ImageRecord]]
    ) -> None:
        self._check_room()
        self._update(collection, [_overwriting(before, after) for before, after in changes])

    @edge_errors()
    def _retrieve(
        self, collection: str, image_ids: list[str], *, payload: bool, vectors: bool
    ) -> Sequence[Row]:
        return self._shard(collection).retrieve(
            [*image_ids], with_payload=payload, with_vector=vectors
        )

    @edge_errors()
    def _scroll(
        self,
        collection: str,
        limit: int,
        *,
        filters: Filters = ALL,
        newest_by: SortBy | None = None,
        after: str | None = None,
        payload: bool | list[str] = True,
    ) -> Sequence[Row]:
        request = edge.ScrollRequest(
            limit=limit,
            filter=to_filter(filters),
            order_by=_order_by(newest_by, filters) if newest_by else None,
            offset=after,
            with_payload=payload,
        )
        rows, _ = self._shard(collection).scroll(request)
        return rows

    @edge_errors()
    def _drop(self, collection: str) -> None:
        """Searches in it must have ended."""
        path, leaving = self._path(collection), self._folder / f".leaving-{collection}"
        with self._opening:
            shard = self._shards.pop(collection, None)
            if path.exists():
                # By one step, so that a crash leaves no half-deleted collection.
                _remove_tree(leaving)
                path.rename(leaving)
            if shard is not None:
                shard.close()
            _remove_tree(leaving)

    @edge_errors()
    def _update(self, collection: str, operations: Sequence[edge.UpdateOperation]) -> None:
        shard = self._shard(collection)
        for operation in operations:
            shard.update(operation)

    def _check_room(self) -> None:
        # Edge writes into mapped files with holes: on a full disk the kernel ends the process.
        if shutil.disk_usage(self._folder).free < _ROOM_BYTES:
            raise StorageFull(
                f"The disk of the index has less than {_ROOM_BYTES / 1e6:.0f} MB left; free some "
                "space and the work goes on by itself."
            )

    def _path(self, collection: str) -> Path:
        return self._folder / "collections" / collection

    def _shard(self, collection: str) -> edge.EdgeShard:
        shard = self._shards.get(collection)
        return shard if shard is not None else self._load(collection)

    @edge_errors()
    def _load(self, collection: str) -> edge.EdgeShard:
        with self._opening:
            if collection in self._shards:
                return self._shards[collection]
            path = self._path(collection)
            if not path.exists():
                raise NotFound(f"There is no collection {collection!r}.")
            shard = edge.EdgeShard.load(str(path))
            _add_missing_indexes(shard)
            self._shards[collection] = shard
            return shard


def _overwriting(before: ImageRecord | None, after: ImageRecord) -> edge.UpdateOperation:
    payload = to_payload(after)
    if before is None:
        return edge.UpdateOperation.overwrite_payload([after.image_id], payload)
    return edge.UpdateOperation.overwrite_payload_by_filter(filter_of_version(before), payload)


def _order_by(sort: SortBy, filters: Filters) -> edge.OrderBy:
    start = latest_of(filters, sort)
    return edge.OrderBy(sort, edge.Direction.Desc, start_from=start.isoformat() if start else None)


def _add_missing_indexes(shard: edge.EdgeShard) -> None:
    """Create the payload indexes; a folder of an earlier version may lack some."""
    present = shard.info().payload_schema
    for field, kind in INDEXED_FIELDS.items():
        if field not in present:
            schema = getattr(edge.PayloadSchemaType, kind.capitalize())
            shard.update(edge.UpdateOperation.create_field_index(field, schema))


def _remove_tree(path: Path) -> None:
    if path.exists():
        shutil.rmtree(path)
