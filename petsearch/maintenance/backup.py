"""Writes a backup of everything that is kept, while services may run.

The ledger is read first, then the index, then the objects: what the ledger counts as done is in the
other two, because it is written last. What happens meanwhile may be in one and not in the other: a
restore has chunks run again that the ledger does not count, and `petsearch reconcile` finds the
rest.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from itertools import chain, count, islice

import petsearch
from petsearch.domain import Filters, Point, object_keys
from petsearch.domain.errors import Conflict, NotFound
from petsearch.maintenance.backup_format import (
    FORMAT,
    LEDGER,
    OBJECTS,
    POINTS,
    POINTS_PER_PART,
    SNAPSHOT,
    IndexForm,
    Manifest,
    PartFile,
    Place,
    copy_name,
    point_to_line,
    to_line,
    write_manifest,
)
from petsearch.maintenance.hashed_stream import blocks_of, size_and_sha256
from petsearch.ports import LedgerCopy, ObjectStore, Snapshots, StoredObject
from petsearch.ports.index import walk_ids
from petsearch.ports.raw_index import RawIndex

_BATCH = 500
_THREADS = 8


@dataclass(frozen=True)
class Kept:
    """What is backed up, and restored."""

    index: RawIndex
    store: ObjectStore
    ledger: LedgerCopy
    snapshots: Snapshots | None
    """None where the index makes none."""


class Backup:
    """One backup to one place.

    Args:
        say: is told of each step.
    """

    def __init__(
        self, kept: Kept, place: Place, *, clock: Callable[[], datetime], say: Callable[[str], None]
    ) -> None:
        self._kept = kept
        self._place = place
        self._clock = clock
        self._say = say
        self._parts: list[PartFile] = []
        self._objects = self._objects_bytes = self._points = self._dim = 0

    def run(self, *, with_objects: bool) -> Manifest:
        """Write it.

        Raises:
            Conflict: the place holds something already.
            Unavailable: a server does not answer; what was written is no backup.
        """
        if not self._place.is_empty():
            raise Conflict("The place of the backup holds something already; name another.")
        created_at = self._clock()
        jobs, keys = self._kept.ledger.counts()
        self._add(LEDGER, map(to_line, self._kept.ledger.export()))
        self._say(f"ledger: {jobs} jobs, {keys} keys")
        collection = self._kept.index.current()
        form = self._write_index(collection)
        self._add(OBJECTS, self._object_lines(with_objects=with_objects))
        self._say(f"objects: {self._objects} of {self._objects_bytes / 1e6:.1f} MB")
        manifest = Manifest(
            format=FORMAT,
            version=petsearch.__version__,
            created_at=created_at,
            collection=collection,
            dim=self._dim,
            index_form=form,
            points=self._points,
            jobs=jobs,
            keys=keys,
            objects=self._objects,
            objects_bytes=self._objects_bytes,
            has_objects=with_objects,
            parts=tuple(self._parts),
        )
        write_manifest(self._place, manifest)
        return manifest

    def _add(self, name: str, blocks: Iterator[bytes]) -> PartFile:
        part = self._place.put(name, blocks)
        self._parts.append(part)
        return part

    def _write_index(self, collection: str | None) -> IndexForm:
        if collection is None:
            return "points"
        snapshots = self._kept.snapshots
        self._points = self._kept.index.count(collection, Filters())
        self._dim = self._dim_of(collection)
        if snapshots is not None and snapshots.is_complete(collection):
            with snapshots.create(collection) as blocks:
                part = self._add(SNAPSHOT, blocks)
            # Deleted while it was made: it may or may not hold them.
            self._points = min(self._points, self._kept.index.count(collection, Filters()))
            self._say(f"index: a snapshot of {part.size_bytes / 1e6:.1f} MB")
            return "snapshot"
        if snapshots is not None:
            self._say("index: its shards lie on several nodes, so points are written one by one")
        self._write_points(collection)
        self._say(f"index: {self._points} points")
        return "points"

    def _dim_of(self, collection: str) -> int:
        while first := self._kept.index.list_ids(collection, after=None, limit=1):
            with suppress(NotFound):  # deleted meanwhile; the next one is read
                return len(self._kept.index.get_embedding(collection, first[0]))
        return 0

    def _write_points(self, collection: str) -> None:
        points = self._walk(collection)
        self._points = 0
        for number in count():
            if (first := next(points, None)) is None:
                return
            here = islice(chain([first], points), POINTS_PER_PART)
            self._add(f"{POINTS}{number:06d}.jsonl", map(point_to_line, here))

    def _walk(self, collection: str) -> Iterator[Point]:
        ids = walk_ids(self._kept.index, collection)
        while batch := list(islice(ids, _BATCH)):
            points = self._kept.index.read_points(collection, batch)
            self._points += len(points)
            yield from points

    def _object_lines(self, *, with_objects: bool) -> Iterator[bytes]:
        with ThreadPoolExecutor(_THREADS, thread_name_prefix="backup") as pool:
            for batch in self._batches_of_objects():
                for part in pool.map(self._copied if with_objects else self._hashed, batch):
                    if part is not None:
                        self._objects += 1
                        self._objects_bytes += part.size_bytes
                        yield to_line(asdict(part))

    def _batches_of_objects(self) -> Iterator[list[StoredObject]]:
        """What waits is read before the rest is listed: meanwhile it may become an original."""
        store = self._kept.store
        waiting = store.list_objects(object_keys.STAGING)
        rest = (o for o in store.list_objects("") if not o.key.startswith(object_keys.STAGING))
        for found in (waiting, rest):
            while batch := list(islice(found, _BATCH)):
                yield batch

    def _hashed(self, found: StoredObject) -> PartFile | None:
        with suppress(NotFound):  # deleted meanwhile
            return PartFile(found.key, *size_and_sha256(self._kept.store.open(found.key)))
        return None

    def _copied(self, found: StoredObject) -> PartFile | None:
        if found.key.startswith(object_keys.RESTORES):
            return None
        with suppress(NotFound):
            blocks = blocks_of(self._kept.store.open(found.key))
            part = self._place.put(copy_name(found.key), blocks)
            return replace(part, name=found.key)
        return None
