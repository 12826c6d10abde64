"""The index in this process: Qdrant Edge, one folder per collection and a pointer file.

Edge has no aliases; the file `current` names the current collection and is replaced atomically.
Search runs over unoptimised segments, which is exact; `EdgeShard.optimize` holds the GIL to its
end and must never be called in a serving process.
"""

import hashlib
import os
import shutil
import tempfile
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import qdrant_edge as edge

from petsearch.adapters.qdrant.base_index import ALL, FACET_VALUES, BaseIndex, Row, record_of
from petsearch.adapters.qdrant.conditions import Conditions
from petsearch.adapters.qdrant.filters import FilterMaker
from petsearch.adapters.qdrant.payload import INDEXED_FIELDS, to_payload
from petsearch.adapters.qdrant.time_pages import latest_of
from petsearch.atomic_file import write_atomically
from petsearch.disk_room import NEW_INDEX_BYTES, DiskRoom, fill_holes, holes_of
from petsearch.domain import Embedding, Filters, Hit, ImageRecord, JsonDict, Point, SortBy
from petsearch.domain.errors import (
    ConfigurationError,
    NotFound,
    PetsearchError,
    StorageFull,
    Unavailable,
)
from petsearch.observability import get_logger

log = get_logger(__name__)

FILTERS = FilterMaker[edge.Filter](
    edge,
    absent=edge.IsEmptyCondition,
    has_id=lambda image_ids: edge.HasIdCondition({*image_ids}),
    numbers=edge.RangeFloat,
    times=lambda **bounds: edge.RangeDateTime(
        **{name: at.isoformat() for name, at in bounds.items() if at}
    ),
)
_POINTER = "current"
_LOG_BYTES = 34_000_000
"""Of a file of Edge's log; it keeps the next one ready."""
_SCARCE_BYTES = 2_000_000_000
"""With less room than this, blocks are taken after every change: looking at all files takes ms."""
_LITTLE_BYTES = 300_000
"""What loading writes beside that."""
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

    Edge writes into mapped files; where the disk lacks a block for one, the kernel ends the
    process. So files have all their blocks before they are mapped, and a collection whose files
    cannot get theirs is searched from a copy elsewhere, and not changed, until they can.

    Raises:
        ConfigurationError: another process has the folder open.
    """

    def __init__(self, folder: Path, room: DiskRoom | None = None) -> None:
        super().__init__()
        self._folder = folder
        self._room = room or DiskRoom(folder)
        self._copies: set[str] = set()
        """Collections that are searched from a copy while their files cannot be written."""
        self._updating = threading.Lock()
        self._counting = threading.Lock()
        """A facet holds the GIL to its end: others run in between."""
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
            self._room.check(NEW_INDEX_BYTES)
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
            filter=FILTERS.filter_of(self._conditions(collection, filters)),
            score_threshold=min_score,
            with_payload=True,
        )
        with edge_errors():
            found = self._shard(collection).query(request)
        return [Hit(record_of(row), row.score) for row in found]

    @edge_errors()
    def count(self, collection: str, filters: Filters) -> int:
        wanted = FILTERS.filter_of(self._conditions(collection, filters))
        request = edge.CountRequest(exact=True, filter=wanted)
        return self._shard(collection).count(request)

    @edge_errors()
    def _facet(self, collection: str, field: str, wanted: Conditions) -> dict[str, int]:
        request = edge.FacetRequest(
            field, limit=FACET_VALUES, exact=True, filter=FILTERS.filter_of(wanted)
        )
        shard = self._shard(collection)
        with self._counting:
            hits = shard.facet(request)
        # Edge also returns values that no point has any more.
        return {str(hit.value): hit.count for hit in hits if hit.count}

    def replace_embeddings(self, collection: str, embeddings: Mapping[str, Embedding]) -> None:
        self._room.check()
        rows = [edge.PointVectors(i, found.tolist()) for i, found in embeddings.items()]
        self._update(collection, [edge.UpdateOperation.update_vectors(rows)])

    def delete(self, collection: str, image_ids: Sequence[str]) -> None:
        self._room.check_delete()
        self._update(collection, [edge.UpdateOperation.delete_points(list(image_ids))])

    def ping(self) -> None:
        if self._current:
            self._shard(self._current)

    @edge_errors()
    def close(self) -> None:
        with self._opening:
            for collection, shard in self._shards.items():
                shard.flush()
                shard.close()
                if collection not in self._copies:
                    with suppress(OSError):  # the next start needs room, then
                        fill_holes(self._path(collection))
            self._shards.clear()
            for collection in self._copies:
                _remove_copies(self._path(collection))
            self._copies.clear()

    def recover(self) -> None:
        """Open what is searched from copies where it belongs, if there is room by now.

        Raises:
            StorageFull: there is not; what was searched from a copy still is.
        """
        for collection in list(self._copies):
            with self._opening, edge_errors():
                if collection not in self._copies:  # another thread was faster
                    continue
                self._room.check()
                self._shards[collection] = self._open_in_place(collection)
                # Only now: what has a copy is not changed. Searches that run have its files open.
                self._copies.discard(collection)
                _remove_copies(self._path(collection))

    def _insert(self, collection: str, points: Sequence[Point]) -> None:
        rows = [
            edge.Point(p.record.image_id, p.embedding.tolist(), to_payload(p.record))
            for p in points
        ]
        insert = edge.UpdateOperation.upsert_points(rows, update_mode=edge.UpdateMode.InsertOnly)
        self._room.check()
        self._update(collection, [insert])

    def _overwrite(
        self, collection: str, changes: Sequence[tuple[ImageRecord | None, ImageRecord]]
    ) -> None:
        self._room.check()
        self._update(collection, [_overwriting(before, after) for before, after in changes])

    def _add_fields(self, collection: str, changes: Sequence[tuple[ImageRecord, JsonDict]]) -> None:
        self._room.check()
        set_fields = edge.UpdateOperation.set_payload_by_filter
        self._update(collection, [set_fields(FILTERS.filter_of_version(r), f) for r, f in changes])

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
            filter=FILTERS.filter_of(self._conditions(collection, filters)),
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
            self._copies.discard(collection)
            self._room.unmapped.pop(collection, None)
            if path.exists():
                # By one step, so that a crash leaves no half-deleted collection.
                _remove_tree(leaving)
                path.rename(leaving)
            if shard is not None:
                shard.close()
            _remove_tree(leaving)
            _remove_copies(path)

    @edge_errors()
    def _update(self, collection: str, operations: Sequence[edge.UpdateOperation]) -> None:
        self._shard(collection)
        self.recover()
        with self._updating:
            for operation in operations:
                self._shard(collection).update(operation)
            if self._room.free_bytes() < _SCARCE_BYTES:
                # What it made larger has its blocks before others take them.
                fill_holes(self._path(collection))

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
            self._shards[collection] = shard = self._open(collection)
            return shard

    def _open(self, collection: str) -> edge.EdgeShard:
        path = self._path(collection)
        needed = holes_of(path) + _growth_of(path)
        self._room.make_room(needed)
        if self._room.free_bytes() < needed:
            self._room.unmapped[collection] = needed
            shard = edge.EdgeShard.load(str(_copy(path) / "files"))
            self._copies.add(collection)
            self._room.call_when_free(self.recover)
            log.warning("the disk is full: the index is searched from a copy, and not changed")
            return shard
        shard = self._open_in_place(collection)
        _remove_copies(path)  # of a process that was killed
        return shard

    def _open_in_place(self, collection: str) -> edge.EdgeShard:
        path = self._path(collection)
        fill_holes(path)
        shard = edge.EdgeShard.load(str(path))
        try:
            _add_missing_indexes(shard)
            fill_holes(path)
        except BaseException:
            shard.close()  # it holds the folder's lock
            raise
        self._room.unmapped.pop(collection, None)
        return shard


def _overwriting(before: ImageRecord | None, after: ImageRecord) -> edge.UpdateOperation:
    payload = to_payload(after)
    if before is None:
        return edge.UpdateOperation.overwrite_payload([after.image_id], payload)
    return edge.UpdateOperation.overwrite_payload_by_filter(
        FILTERS.filter_of_version(before), payload
    )


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


def _growth_of(path: Path) -> int:
    """What loading a collection takes at most."""
    is_log_whole = len(list((path / "wal").glob("open-*"))) > 1
    return _LITTLE_BYTES if is_log_whole else _LITTLE_BYTES + _LOG_BYTES


def _copy(path: Path) -> Path:
    """A folder with the same files, on another disk or in memory.

    Raises:
        StorageFull: it fits nowhere.
    """
    _remove_copies(path)
    wanted = sum(found.stat().st_size for found in path.rglob("*") if found.is_file())
    for copy in _places_of_copies(path):
        if shutil.disk_usage(copy.parent).free <= wanted + 2 * _LOG_BYTES:
            continue
        try:
            copy.mkdir(mode=0o700)
            shutil.copytree(path, copy / "files")
        except OSError as error:
            log.warning("the index cannot be copied", folder=str(copy), reason=str(error))
            shutil.rmtree(copy, ignore_errors=True)
        else:
            return copy
    raise StorageFull(
        f"The disk is full, and no other has the {wanted / 1e6:.0f} MB that search takes "
        "meanwhile: free some space."
    )


def _places_of_copies(path: Path) -> list[Path]:
    """Always the same, so that what a killed process has left is found."""
    name = "petsearch-index-" + hashlib.sha256(os.fsencode(path.resolve())).hexdigest()[:16]
    places = (Path(tempfile.gettempdir()), Path("/dev/shm"))
    return [place / name for place in places if place.is_dir()]


def _remove_copies(path: Path) -> None:
    for copy in _places_of_copies(path):
        shutil.rmtree(copy, ignore_errors=True)


def _remove_tree(path: Path) -> None:
    if path.exists():
        shutil.rmtree(path)
