"""Finds and mends what a crash left between the index and the object store.

Nothing is held in memory but a page of ids and the first findings, so it runs over any size.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from petsearch.catalogue import delete_images
from petsearch.domain import object_keys
from petsearch.domain.errors import Conflict, InvalidInput, NotFound
from petsearch.maintenance.inventory import WHOLE, Traces, look, walk
from petsearch.observability import get_logger
from petsearch.photos import ImageLimits, decode
from petsearch.photos.copies import display_copy, thumbnail
from petsearch.ports import IndexReader, IndexWriter, JobRecords, ObjectStore

log = get_logger(__name__)

UNDER_WAY = timedelta(hours=1)
"""What changed since then may be an ingest or a delete that is not finished yet."""
STAGING_KEPT = timedelta(days=7)
MOST_FINDINGS = 1000
"""Named in a report; the counts hold all."""
_REINGEST_AT_A_TIME = 64

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
    """An upload waits, and its job is over or gone. It is deleted."""


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong."""

    damage: Damage
    name: str
    """An image id, or the object key of a staged upload."""
    fixed: bool
    problem: str | None = None
    """Why it could not be mended."""


@dataclass(frozen=True)
class Report:
    """What was looked at and what was found."""

    images: int
    """Images that left any trace."""
    staged: int
    """Uploads that wait."""
    left_alone: int
    """Images that look wrong, and changed so lately that somebody may still be at it."""
    counts: Mapping[Damage, int]
    findings: tuple[Finding, ...]
    """The first `MOST_FINDINGS`."""
    fixed: int

    @property
    def found(self) -> int:
        """How much is wrong, or was."""
        return sum(self.counts.values())


class Reconciler:
    """Compares one collection with the object store.

    Args:
        limits: what an original must satisfy to be decoded again.
        clock: the time now, with a time zone.
    """

    def __init__(
        self,
        *,
        index: IndexReader,
        writer: IndexWriter,
        store: ObjectStore,
        ledger: JobRecords,
        collection: str,
        limits: ImageLimits,
        clock: Callable[[], datetime],
    ) -> None:
        self._index = index
        self._writer = writer
        self._store = store
        self._ledger = ledger
        self._collection = collection
        self._limits = limits
        self._clock = clock

    def report(self) -> Report:
        """Look, and change nothing."""
        return self._run(None)

    def fix(self, reingest: Reingest) -> Report:
        """Mend what can be mended.

        Raises:
            Conflict: the store holds no original at all: it must be another one than the index's,
                and mending would delete every image.
            Unavailable: a part does not answer; what was mended stays so, run it again.
        """
        self._check_store()
        batches = _Batches(reingest)
        mending = _Mending(
            self._index, self._writer, self._store, self._collection, self._limits, batches
        )
        report = self._run(mending)
        batches.flush()
        return report

    def _check_store(self) -> None:
        if any(True for _ in self._store.list_keys(object_keys.ORIGINALS)):
            return
        if self._index.list_ids(self._collection, after=None, limit=1):
            raise Conflict(
                "The object store holds no original at all, and the index has images: is this the "
                "store that belongs to it? Nothing was changed."
            )

    def _run(self, mending: "_Mending | None") -> Report:
        tally = _Tally()
        for image_id, parts in walk(self._index, self._store, self._collection):
            tally.images += 1
            if parts != WHOLE:
                self._check_image(image_id, mending, tally)
        for key in self._stale_uploads(tally):
            if mending is not None:
                self._store.delete(key)
            tally.add(Finding(Damage.STALE_STAGING, key, fixed=mending is not None))
        return tally.report()

    def _check_image(self, image_id: str, mending: "_Mending | None", tally: "_Tally") -> None:
        # The walk read index and store a little apart; this is what holds.
        traces = look(self._index, self._store, self._collection, image_id)
        damage = _damage_of(traces)
        if damage is None:
            return
        problem = None
        is_under_way = self._is_under_way(traces)
        if mending is not None and not is_under_way:
            problem = mending.mend(damage, traces)
            is_under_way = problem is not None and self._is_under_way(traces)
        if is_under_way:
            tally.left_alone += 1
            return
        fixed = mending is not None and problem is None
        tally.add(Finding(damage, image_id, fixed=fixed, problem=problem))

    def _is_under_way(self, traces: Traces) -> bool:
        """Whether the image changed lately, or since `traces` were read."""
        changed_at = traces.changed_at
        if changed_at is not None and self._clock() - changed_at < UNDER_WAY:
            return True
        return look(self._index, self._store, self._collection, traces.image_id) != traces

    def _stale_uploads(self, tally: "_Tally") -> Iterator[str]:
        latest = self._clock() - STAGING_KEPT
        job_id, is_over = None, False
        for found in self._store.list_objects(object_keys.STAGING):
            tally.staged += 1
            if found.modified_at > latest:
                continue
            if object_keys.job_of_staging(found.key) != job_id:
                job_id = object_keys.job_of_staging(found.key)
                is_over = self._is_over(job_id)
            if is_over:
                yield found.key

    def _is_over(self, job_id: str) -> bool:
        try:
            return self._ledger.get(job_id).state.is_final
        except NotFound:
            return True


class _Mending:
    """Mends one image at a time."""

    def __init__(
        self,
        index: IndexReader,
        writer: IndexWriter,
        store: ObjectStore,
        collection: str,
        limits: ImageLimits,
        reingest: "_Batches",
    ) -> None:
        self._index = index
        self._writer = writer
        self._store = store
        self._collection = collection
        self._limits = limits
        self._reingest = reingest

    def mend(self, damage: Damage, traces: Traces) -> str | None:
        """None if that was possible, else why not."""
        log.info("mending", damage=damage.value, image_id=traces.image_id)
        how = {
            Damage.HALF_DELETED: self._finish_delete,
            Damage.MISSING_POINT: self._ingest_again,
            Damage.MISSING_COPY: self._make_copies,
            Damage.LOST_ORIGINAL: self._delete,
            Damage.ORPHAN_COPY: self._delete,
        }[damage]
        try:
            how(traces)
        except (InvalidInput, NotFound) as error:
            return error.detail
        return None

    def _finish_delete(self, traces: Traces) -> None:
        if not self._came_again(traces):
            self._delete(traces)
            return
        self._store.delete(object_keys.tombstone(traces.image_id))
        rest = look(self._index, self._store, self._collection, traces.image_id)
        damage = _damage_of(rest)
        if damage is not None and rest.tombstone is None:
            self.mend(damage, rest)

    def _came_again(self, traces: Traces) -> bool:
        """Whether somebody brought the image after its delete had begun: then it stays."""
        if traces.record is not None:
            deleted = self._store.get(object_keys.tombstone(traces.image_id)).decode()
            return traces.record.updated_at.isoformat() != deleted
        if traces.original is None or traces.tombstone is None:
            return False
        return traces.original.modified_at > traces.tombstone.modified_at

    def _delete(self, traces: Traces) -> None:
        delete_images(self._writer, self._store, self._collection, [traces.image_id])

    def _ingest_again(self, traces: Traces) -> None:
        self._reingest.add(traces.image_id)

    def _make_copies(self, traces: Traces) -> None:
        data = self._store.get(object_keys.original(traces.image_id))
        picture = decode.decode(data, self._limits).picture
        if traces.display is None:
            key = object_keys.display(traces.image_id)
            self._store.put(key, display_copy(picture))
        if traces.thumbnail is None:
            key = object_keys.thumbnail(traces.image_id)
            self._store.put(key, thumbnail(picture))


class _Batches:
    """Hands ids on, some at a time."""

    def __init__(self, reingest: Reingest) -> None:
        self._reingest = reingest
        self._waiting: list[str] = []

    def add(self, image_id: str) -> None:
        self._waiting.append(image_id)
        if len(self._waiting) == _REINGEST_AT_A_TIME:
            self.flush()

    def flush(self) -> None:
        if self._waiting:
            self._reingest(self._waiting)
            self._waiting = []


class _Tally:
    """Counts while it goes on."""

    def __init__(self) -> None:
        self.images = 0
        self.staged = 0
        self.left_alone = 0
        self._counts: Counter[Damage] = Counter()
        self._findings: list[Finding] = []
        self._fixed = 0

    def add(self, finding: Finding) -> None:
        self._counts[finding.damage] += 1
        self._fixed += finding.fixed
        if len(self._findings) < MOST_FINDINGS:
            self._findings.append(finding)

    def report(self) -> Report:
        return Report(
            images=self.images,
            staged=self.staged,
            left_alone=self.left_alone,
            counts={damage: self._counts[damage] for damage in Damage},
            findings=tuple(self._findings),
            fixed=self._fixed,
        )


def _damage_of(traces: Traces) -> Damage | None:
    if traces.tombstone is not None:
        return Damage.HALF_DELETED
    has_copies = traces.display is not None and traces.thumbnail is not None
    if traces.record is not None and traces.original is not None:
        return None if has_copies else Damage.MISSING_COPY
    if traces.record is not None:
        return Damage.LOST_ORIGINAL
    if traces.original is not None:
        return Damage.MISSING_POINT
    has_any = traces.display is not None or traces.thumbnail is not None
    return Damage.ORPHAN_COPY if has_any else None
