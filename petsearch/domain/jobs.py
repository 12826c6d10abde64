"""Jobs, their items, and what became of each."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from petsearch.domain.images import ImageMetadata

MOST_LEFT_OUT_NAMES = 100
"""How many entries that were left out are listed with a job; all of them are counted."""


class ItemStatus(StrEnum):
    """What became of an item."""

    INGESTED = "ingested"
    DUPLICATE = "duplicate"
    REFUSED = "refused"
    FAILED = "failed"


class JobState(StrEnum):
    """Where a job stands."""

    QUEUED = "queued"
    RUNNING = "running"
    PAUSED = "paused"
    SUCCEEDED = "succeeded"
    PARTLY_FAILED = "partly_failed"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def is_final(self) -> bool:
        """Whether nothing more will happen."""
        return self in _FINAL_STATES


_FINAL_STATES = frozenset(
    {JobState.SUCCEEDED, JobState.PARTLY_FAILED, JobState.FAILED, JobState.CANCELLED}
)


@dataclass(frozen=True)
class ItemWarning:
    """What is odd about an item that was taken all the same."""

    code: str
    """One constant for each kind, such as `profile_ignored`."""
    detail: str
    """A sentence for people."""
    field: str | None = None
    """The column or field that it is about."""


@dataclass(frozen=True)
class Item:
    """One photo to ingest: where its bytes wait, and what was said about it."""

    item_no: int
    sha256: str
    """Of the bytes; empty where they still have to be fetched from `origin`."""
    metadata: ImageMetadata
    staging_key: str | None
    """Object key of the bytes, or None for an image the index holds already."""
    refusal: str | None = None
    """Why the bytes were not even kept (too large, say); such an item only has to be accounted."""
    origin: str | None = None
    """Where to fetch the bytes if they are not staged: see `petsearch.sources.source`."""
    size_bytes: int | None = None
    """Of the bytes, where that is known."""
    warnings: tuple[ItemWarning, ...] = ()
    """What is odd about it so far."""


class LeftOutReason(StrEnum):
    """Why a source's entry is no item of its job."""

    NOT_A_PHOTO = "not_a_photo"
    """Its name or its content is of another kind of file, such as a text."""
    VIDEO = "video"
    SIDECAR = "sidecar"
    """A file that says something about a photo."""
    JUNK = "junk"
    """Thumbnails and caches that systems keep beside photos, and hidden files."""
    ARCHIVE = "archive"
    """An archive within an archive or a folder."""
    LINK = "link"
    """A link to a folder."""
    SPECIAL = "special"
    """A device, a socket or something else that holds no bytes."""


@dataclass(frozen=True)
class LeftOut:
    """An entry of a source that was left out, and why."""

    name: str
    reason: LeftOutReason


@dataclass(frozen=True)
class Outcome:
    """What became of one item, and why."""

    item_no: int
    filename: str
    status: ItemStatus
    image_id: str | None = None
    reason: str | None = None
    """Why, in a sentence, where the photo was not ingested."""
    stage: str | None = None
    """Of a failed item: the step that failed (fetch, decode, store, embed, index, quarantine)."""
    error: str | None = None
    """Of a failed item: the class of the error."""
    attempts: int = 1
    warnings: tuple[ItemWarning, ...] = ()


class QueueName(StrEnum):
    """Where work waits. The first is served first: an upload never waits behind a big job."""

    INTERACTIVE = "ingest.interactive"
    BULK = "ingest.bulk"


class JobKind(StrEnum):
    """What a job's items are."""

    INGEST = "ingest"
    """Photos that come in."""
    REINDEX = "reindex"
    """Images that are here already, for the collection of another model."""


class OnDuplicate(StrEnum):
    """What is done with what is said about a photo that is here already."""

    KEEP = "keep"
    """Nothing: the record stays as it is."""
    MERGE = "merge"
    """Empty fields are filled, tags are added, the source is remembered."""
    REPLACE = "replace"
    """What is said now counts, the source is remembered."""


@dataclass(frozen=True)
class NewJob:
    """A job as it is opened."""

    job_id: str
    source: str
    """What people read: where the items come from."""
    created_at: datetime
    queue: QueueName = QueueName.BULK
    expected: int | None = None
    spec: str | None = None
    """JSON of a source that the server reads itself; None if a client adds the items."""
    on_duplicate: OnDuplicate = OnDuplicate.MERGE
    kind: JobKind = JobKind.INGEST


@dataclass(frozen=True)
class Job:
    """A job as the ledger knows it. `counts` has a value for every `ItemStatus`."""

    job_id: str
    source: str
    created_at: datetime
    sealed: bool
    """False while more items may still be added."""
    total: int
    """Items added so far."""
    counts: Mapping[ItemStatus, int]
    finished_at: datetime | None = None
    reason: str | None = None
    """Why nothing moves at the moment, or why the job failed as a whole."""
    expected: int | None = None
    """How many items the client or the source said there would be."""
    queue: QueueName = QueueName.BULK
    on_duplicate: OnDuplicate = OnDuplicate.MERGE
    paused: bool = False
    cancelled: bool = False
    source_failed: bool = False
    """Whether the source could not be read to its end."""
    rate_per_s: float | None = None
    """Items accounted per second over the last minute, while the job moves."""
    version: int = 0
    """Grows with every change: what a listener has seen."""
    first_retry: int | None = None
    """The first chunk that tries failed items again; those after it do so, too."""
    kind: JobKind = JobKind.INGEST
    warned: int = 0
    """Items with warnings."""
    left_out: Mapping[LeftOutReason, int] = field(default_factory=dict)
    """Entries of its source that are no items, by reason."""
    left_out_names: tuple[LeftOut, ...] = ()
    """The first `MOST_LEFT_OUT_NAMES` of them."""

    @property
    def done(self) -> int:
        """Items accounted for."""
        return sum(self.counts.values())

    @property
    def eta_s(self) -> float | None:
        """Seconds until the job ends at this rate, if its size is known."""
        size = self.total if self.sealed else self.expected
        if size is None or not self.rate_per_s or self.state.is_final:
            return None
        return max(0, size - self.done) / self.rate_per_s

    @property
    def state(self) -> JobState:
        """Derived, never stored: counters and flags are the only truth."""
        if self.cancelled:
            return JobState.CANCELLED
        if not self.finished_at:
            if self.paused or self.reason:
                return JobState.PAUSED
            return JobState.RUNNING if self.done else JobState.QUEUED
        bad = self.counts[ItemStatus.REFUSED] + self.counts[ItemStatus.FAILED]
        if bad == 0 and not self.source_failed:
            return JobState.SUCCEEDED
        return JobState.FAILED if bad == self.total else JobState.PARTLY_FAILED
