"""Finds and mends what a crash left between the index and the object store.

Nothing is held in memory but a page of ids and the first findings, so it runs over any size.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from petsearch.catalogue import delete_images
from petsearch.domain import object_keys
from petsearch.domain.errors import Conflict, InvalidInput, NotFound
from petsearch.maintenance.inventory import WHOLE, Part, Traces, look, walk
from petsearch.observability import get_logger
from petsearch.photos import Decoders
from petsearch.ports import IndexReader, IndexWriter, JobRecords, ObjectStore

log = get_logger(__name__)

UNDER_WAY = timedelta(hours=1)
"""What changed since then may be an ingest or a delete that is not finished yet."""
STAGING_KEPT = timedelta(days=7)
MOST_FINDINGS = 1000
"""Named in a report; the counts hold all."""
_REINGEST_AT_A_TIME = 64

ReingestOne = Callable[[str], None]
Reingest = Callable[[Sequence[str]], None]
"""Takes the ids of images that have an original and no point, and has them ingested again."""


class Damage(StrEnum):
    """What is wrong, and in the description what mends it."""

    HALF_DELETED = "half_deleted"
    """A delete was cut off. It is finished, unless the image came again since."""
    MISSING_POINT = "missing_point"
    """An original is not indexed. It is ingested again."""
    MISSING_COPY = "missing_copy"
    """The display copy or the thumbnail is gone. It is made again from the original."""
    LOST_ORIGINAL = "lost_original"
    """A point has no original any more. Nothing can bring it back; the image is deleted."""
    ORPHAN_COPY = "orphan_copy"
    """A copy has neither original nor point. It is deleted."""
    STALE_STAGING = "stale_staging"
    """An upload waits, and its job is over or gone; or a source, chunk or outcomes are left, and
    their job is gone. It is deleted."""


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong."""

    damage: Damage
    name: str
    """An image id, or the object key of what a job left."""
    fixed: bool
    problem: str | None = None
    """Why it could not be mended."""


@dataclass
class Report:
    """What was compared and what was found."""

    images: int = 0
    """Images that left any trace."""
    staged: int = 0
    """Uploads that wait."""
    left_alone: int = 0
    """Images that look damaged, but changed so recently that they may still be written."""
    fixed: int = 0
    counts: dict[Damage, int] = field(default_factory=lambda: dict.fromkeys(Damage, 0))
    findings: list[Finding] = field(default_factory=list)
    """The first `MOST_FINDINGS`."""

    @property
    def found(self) -> int:
        """How much is or was damaged."""
        return sum(self.counts.values())

    def add(self, finding: Finding) -> None:
        """Count a finding."""
        self.counts[finding.damage] += 1
        self.fixed += finding.fixed
        if len(self.findings) < MOST_FINDINGS:
            self.findings.append(finding)


@dataclass(frozen=True, kw_only=True)
class Reconciler:
    """Compares one collection with the object store."""

    index: IndexReader
    writer: IndexWriter
    store: ObjectStore
    ledger: JobRecords
    collection: str
    decoders: Decoders
    """What makes copies of originals."""
    clock: Callable[[], datetime]

    def report(self) -> Report:
        """Compare, and change nothing."""
        return self._run(None)

    def fix(self, reingest: Reingest) -> Report:
        """Compare, and mend what can be mended.

        Raises:
            Conflict: the store holds no original at all: it must be another one than the index's,
                and mending would delete every image.
            Unavailable: a part does not answer; what was mended stays so, run it again.
        """
        self._check_store()
        waiting: list[str] = []

        def reingest_later(image_id: str) -> None:
            waiting.append(image_id)
            if len(waiting) == _REINGEST_AT_A_TIME:
                reingest(tuple(waiting))
                waiting.clear()

        report = self._run(reingest_later)
        if waiting:
            reingest(waiting)
        return report

    def _check_store(self) -> None:
        if any(True for _ in self.store.list_keys(object_keys.ORIGINALS)):
            return
        if self.index.list_ids(self.collection, after=None, limit=1):
            raise Conflict(
                "The object store holds no original at all, and the index has images: is this the "
                "store that belongs to it? Nothing was changed."
            )

    def _run(self, reingest: ReingestOne | None) -> Report:
        report = Report()
        for image_id, parts in walk(self.index, self.store, self.collection):
            report.images += 1
            if parts != WHOLE:
                self._check_image(image_id, reingest, report)
        for key in self._left_of_jobs(report):
            if reingest is not None:
                self.store.delete(key)
            report.add(Finding(Damage.STALE_STAGING, key, fixed=reingest is not None))
        return report

    def _check_image(self, image_id: str, reingest: ReingestOne | None, report: Report) -> None:
        # The walk read index and store a little apart; this is what holds.
        traces = look(self.index, self.store, self.collection, image_id)
        if (damage := _damage_of(traces.parts)) is None:
            return
        problem = None
        is_under_way = self._is_under_way(traces)
        if reingest is not None and not is_under_way:
            problem = self._mend(damage, traces, reingest)
            is_under_way = problem is not None and self._is_under_way(traces)
        if is_under_way:
            report.left_alone += 1
            return
        fixed = reingest is not None and problem is None
        report.add(Finding(damage, image_id, fixed=fixed, problem=problem))

    def _is_under_way(self, traces: Traces) -> bool:
        """Whether the image changed lately, or since `traces` were read."""
        if traces.changed_within(UNDER_WAY, self.clock()):
            return True
        return look(self.index, self.store, self.collection, traces.image_id) != traces

    def _left_of_jobs(self, report: Report) -> Iterator[str]:
        if not self.ledger.newest(1):
            return  # it is empty, or another one: nothing tells what its jobs left
        latest = self.clock() - STAGING_KEPT
        for prefix in (object_keys.STAGING, object_keys.IMPORTS, object_keys.JOBS):
            job_id, is_needed = "", True
            for found in self.store.list_objects(prefix):
                report.staged += prefix == object_keys.STAGING
                if found.modified_at > latest:
                    continue
                if object_keys.job_of(found.key) != job_id:
                    job_id = object_keys.job_of(found.key)
                    is_needed = self._is_needed(job_id, prefix)
                if not is_needed:
                    yield found.key

    def _is_needed(self, job_id: str, prefix: str) -> bool:
        try:
            job = self.ledger.get(job_id)
        except NotFound:
            return False
        # One that has ended keeps its outcomes, and what it read for retries.
        return prefix != object_keys.STAGING or not job.state.is_final

    def _mend(self, damage: Damage, traces: Traces, reingest: ReingestOne) -> str | None:
        """Mend one image; why that is not possible, if it is not."""
        log.info("mending", damage=damage.value, image_id=traces.image_id)
        try:
            match damage:
                case Damage.HALF_DELETED:
                    self._finish_delete(traces, reingest)
                case Damage.MISSING_POINT:
                    reingest(traces.image_id)
                case Damage.MISSING_COPY:
                    self._make_copies(traces)
                case _:
                    self._delete(traces)
        except (InvalidInput, NotFound) as error:
            return error.detail
        return None

    def _finish_delete(self, traces: Traces, reingest: ReingestOne) -> None:
        if not self._came_again(traces):
            self._delete(traces)
            return
        self.store.delete(object_keys.tombstone(traces.image_id))
        rest = look(self.index, self.store, self.collection, traces.image_id)
        damage = _damage_of(rest.parts)
        if damage not in (None, Damage.HALF_DELETED):
            self._mend(damage, rest, reingest)

    def _came_again(self, traces: Traces) -> bool:
        """Whether the image was ingested again after its delete had begun: then it stays."""
        if traces.record is not None:
            deleted = self.store.get(object_keys.tombstone(traces.image_id)).decode()
            return traces.record.updated_at.isoformat() != deleted
        original, tombstone = (traces.objects.get(p) for p in (Part.ORIGINAL, Part.TOMBSTONE))
        if original is None or tombstone is None:
            return False
        return original.modified_at > tombstone.modified_at

    def _delete(self, traces: Traces) -> None:
        delete_images(self.writer, self.store, self.collection, [traces.image_id])

    def _make_copies(self, traces: Traces) -> None:
        data = self.store.get(object_keys.original(traces.image_id))
        copies = self.decoders.copies(data).copies
        for part, key, copy in (
            (Part.DISPLAY, object_keys.display(traces.image_id), copies.display),
            (Part.THUMBNAIL, object_keys.thumbnail(traces.image_id), copies.thumbnail),
        ):
            if part not in traces.objects:
                self.store.put(key, copy)


def _damage_of(parts: frozenset[Part]) -> Damage | None:
    if Part.TOMBSTONE in parts:
        return Damage.HALF_DELETED
    if parts >= {Part.POINT, Part.ORIGINAL}:
        return None if parts == WHOLE else Damage.MISSING_COPY
    if Part.POINT in parts:
        return Damage.LOST_ORIGINAL
    if Part.ORIGINAL in parts:
        return Damage.MISSING_POINT
    return Damage.ORPHAN_COPY if parts else None
