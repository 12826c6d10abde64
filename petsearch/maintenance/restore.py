"""Restores a backup: checks all of it first, then objects, index and ledger, in that order.

The ledger comes last, because workers take up what it has left as soon as they see it. Chunks that
it does not count are run again: what was ingested of them since is not in the index. Every step may
be repeated; one that was cut off goes on when the same backup is restored again.
"""

import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice

from petsearch.domain import Filters, JsonDict, object_keys
from petsearch.domain.errors import ConfigurationError, Conflict, Unavailable
from petsearch.jobs import chunk_files
from petsearch.maintenance.backup import Kept
from petsearch.maintenance.backup_format import (
    LEDGER,
    OBJECTS,
    POINTS,
    SNAPSHOT,
    Manifest,
    PartFile,
    Place,
    copy_name,
    object_from_line,
    point_from_line,
    read_manifest,
)
from petsearch.ports.raw_index import RawIndex

_BATCH = 256
_THREADS = 8


@dataclass(frozen=True)
class Restored:
    """What was restored."""

    manifest: Manifest
    objects_missing: int
    """Listed in the backup, and neither in it nor in the store."""


@dataclass(frozen=True)
class Restore:
    """One backup from one place."""

    kept: Kept
    place: Place
    say: Callable[[str], None]
    """Called with a sentence about each step."""

    def run(self, *, into_existing: bool) -> Restored:
        """Restore it.

        Args:
            into_existing: also where there are photos or jobs already. Photos that are there stay
                as they are, jobs and keys of the same id are replaced; a snapshot replaces the
                whole collection.

        Raises:
            ConfigurationError: there is no backup, or the index does not take its form.
            InvalidInput: it is damaged; the part is named, and nothing was written.
            Conflict: there are photos or jobs already.
            Unavailable: a server does not answer; run it again to go on.
        """
        manifest, name = read_manifest(self.place)
        if manifest.index_form == "snapshot" and self.kept.snapshots is None:
            raise ConfigurationError(
                "The backup holds a snapshot of a Qdrant server, which only such a server takes: "
                "set PETSEARCH_INDEX_URL to one."
            )
        self._check(manifest)
        marker = object_keys.restore(name)
        if not into_existing and not self._goes_on(marker):
            self._check_is_empty()
        self.kept.store.put(marker, b"")
        missing = self._restore_objects(manifest)
        self._restore_index(manifest)
        ledger = self.kept.ledger
        chunk_files.let_run_again(self.kept.store, ledger.open_chunks(self._entries()))
        ledger.load(self._entries())
        self.say(f"ledger: {manifest.jobs} jobs, {manifest.keys} keys")
        self.kept.store.delete(marker)
        return Restored(manifest, missing)

    def _check(self, manifest: Manifest) -> None:
        for part in manifest.parts:
            self.place.check(part)
        if manifest.has_objects:
            for part in self._objects():
                self.place.check(PartFile(copy_name(part.name), part.size_bytes, part.sha256))
        self.say("the backup is whole: every checksum is right")

    def _goes_on(self, marker: str) -> bool:
        if self.kept.store.find(marker) is None:
            return False
        self.say("going on with a restore that was cut off")
        return True

    def _check_is_empty(self) -> None:
        collection = self.kept.index.current()
        photos = self.kept.index.count(collection, Filters()) if collection else 0
        jobs, _ = self.kept.ledger.counts()
        if photos or jobs:
            raise Conflict(
                f"There are {photos} photos and {jobs} jobs here already. Restore into an empty "
                "stack, or say --into-existing to add what the backup holds."
            )

    def _entries(self) -> Iterator[JsonDict]:
        return map(json.loads, self.place.lines(LEDGER))

    def _objects(self) -> Iterator[PartFile]:
        return map(object_from_line, self.place.lines(OBJECTS))

    def _restore_objects(self, manifest: Manifest) -> int:
        """How many are missing."""
        bring = self._copy_back if manifest.has_objects else self._is_there
        objects, there = self._objects(), 0
        with ThreadPoolExecutor(_THREADS, thread_name_prefix="restore") as pool:
            while batch := list(islice(objects, _BATCH)):
                there += sum(pool.map(bring, batch))
        missing = manifest.objects - there
        self.say(f"objects: {there} there" + (f", {missing} MISSING" if missing else ""))
        return missing

    def _is_there(self, part: PartFile) -> bool:
        found = self.kept.store.find(part.name)
        return found is not None and found.size_bytes == part.size_bytes

    def _copy_back(self, part: PartFile) -> bool:
        if not self._is_there(part):
            with self.place.open(copy_name(part.name)) as file:
                self.kept.store.put_stream(part.name, file, part.size_bytes)
        return True

    def _restore_index(self, manifest: Manifest) -> None:
        collection, index = manifest.collection, self.kept.index
        if collection is None or not manifest.dim:
            return  # nothing was indexed; a worker makes the first collection
        if manifest.index_form == "snapshot":
            assert self.kept.snapshots is not None
            (part,) = [part for part in manifest.parts if part.name == SNAPSHOT]
            with self.place.open(SNAPSHOT) as file:
                self.kept.snapshots.recover(collection, file, part.sha256)
        index.create_collection(collection, manifest.dim)
        if manifest.index_form == "points":
            for part in manifest.parts:
                if part.name.startswith(POINTS):
                    self._insert(index, collection, part)
        index.point_alias_to(collection)
        found = index.count(collection, Filters())
        if found < manifest.points:
            raise Unavailable(f"The index has {found} of {manifest.points} points; run this again.")
        self.say(f"index: {found} photos in {collection}")

    def _insert(self, index: RawIndex, collection: str, part: PartFile) -> None:
        points = map(point_from_line, self.place.lines(part.name))
        while batch := list(islice(points, _BATCH)):
            index.insert(collection, batch)
