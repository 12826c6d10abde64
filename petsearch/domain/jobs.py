"""Jobs, their items and the outcomes of these."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from petsearch.domain.images import ImageMetadata

MOST_LEFT_OUT_NAMES = 100
"""How many entries that were left out are listed with a job; all of them are counted."""


class ItemStatus(StrEnum):
    """The outcome of an item."""

    INGESTED = "ingested"
    DUPLICATE = "duplicate"
    REFUSED = "refused"
    FAILED = "failed"


class JobState(StrEnum):
    """The state of a job."""

    QUEUED = "queued"
    RUNNING = "running"
    PAUSED = "paused"
    SUCCEEDED = "succeeded"
    PARTLY_FAILED = "partly_failed"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def is_final(self) -> bool:
        """Whether the job has ended."""
        return self in _FINAL_STATES


_FINAL_STATES = frozenset(
    {JobState.SUCCEEDED, JobState.PARTLY_FAILED, JobState.FAILED, JobState.CANCELLED}
)


MOST_WARNINGS = 20
"""Of an item: a row of a table can give cause for a thousand."""


@dataclass(frozen=True)
class ItemWarning:
    """Something unusual about an item that was ingested nevertheless."""

    code: str
    """A constant for each kind, such as `profile_ignored`."""
    detail: str
    """A message for people."""
    field: str | None = None
    """The column or field concerned."""


def fitting_warnings(warnings: Sequence[ItemWarning]) -> tuple[ItemWarning, ...]:
    """At most `MOST_WARNINGS` of an item, the last of which says how many others there are."""
    if len(warnings) <= MOST_WARNINGS:
        return tuple(warnings)
    left_out = len(warnings) - MOST_WARNINGS + 1
    rest = ItemWarning("more_warnings", f"There are {left_out} more warnings.")
    return (*warnings[: MOST_WARNINGS - 1], rest)


@dataclass(frozen=True)
class Item:
    """A photo to ingest: where its bytes are, and its metadata."""

    item_no: int
    sha256: str
    """Of the bytes; empty while they have to be fetched from `origin`."""
    metadata: ImageMetadata
    staging_key: str | None
    """Object key of the bytes; None for an image that is indexed already."""
    refusal: str | None = None
    """Why the bytes were not stored, such as their size; such an item only counts as refused."""
    origin: str | None = None
    """Where to fetch bytes that are not staged: see `petsearch.sources.source`."""
    size_bytes: int | None = None
    """Of the bytes, if it is known."""
    warnings: tuple[ItemWarning, ...] = ()
    """Warnings so far."""


class LeftOutReason(StrEnum):
    """Why a source's entry is no item of its job."""

    NOT_A_PHOTO = "not_a_photo"
    """Its name or its content is of another kind of file, such as a text."""
    VIDEO = "video"
    SIDECAR = "sidecar"
    """A file that says something about a photo, which is not there."""
    SIDECAR_USED = "sidecar_used"
    """A file beside a photo, which was read for the metadata of that photo."""
    JUNK = "junk"
    """Thumbnails and caches that systems keep beside photos, and hidden files."""
    ARCHIVE = "archive"
    """An archive within an archive or a folder."""
    LINK = "link"
    """A link to a folder."""
    COLUMN = "column"
    """A column of a table that means nothing here."""
    ROW = "row"
    """A row of a table that names no photo."""
    SPECIAL = "special"
    """A device, a socket or something else that holds no bytes."""


@dataclass(frozen=True)
class LeftOut:
    """An entry of a source that was left out, and why."""

    name: str
    reason: LeftOutReason


@dataclass(frozen=True)
class Outcome:
    """The outcome of an item, with the reason."""

    item_no: int
    filename: str
    status: ItemStatus
    image_id: str | None = None
    reason: str | None = None
    """A message for people if the photo was not ingested."""
    stage: str | None = None
    """The step that failed: fetch, decode, store, embed, index or quarantine."""
    error: str | None = None
    """The class of the error, if the item failed."""
    attempts: int = 1
    warnings: tuple[ItemWarning, ...] = ()


class QueueName(StrEnum):
    """The queues, in order of priority: an upload never waits behind a big job."""

    INTERACTIVE = "ingest.interactive"
    BULK = "ingest.bulk"


class JobKind(StrEnum):
    """What the items of a job are."""

    INGEST = "ingest"
    """New photos."""
    PIXELS = "pixels"
    """Indexed images whose pixels an older version decoded."""
    PREDICTIONS = "predictions"
    """Indexed images whose species and breed are predicted again."""
    REINDEX = "reindex"
    """Indexed images, which are embedded for the collection of another model."""


class OnDuplicate(StrEnum):
    """What happens to the metadata of a photo that is indexed already."""

    KEEP = "keep"
    """The record is not changed: that the photo came again is not recorded either."""
    MERGE = "merge"
    """Empty fields are filled, tags and the source are added."""
    REPLACE = "replace"
    """The metadata is replaced, the source is added."""


@dataclass(frozen=True, kw_only=True)
class JobOptions:
    """How a job is ingested."""

    queue: QueueName = QueueName.BULK
    expected: int | None = None
    """The number of items that the client or the source announced."""
    on_duplicate: OnDuplicate = OnDuplicate.MERGE
    exif_dates: bool = True
    """Whether the date in a photo's file is its date if nobody states another one."""
    gps: bool = False
    """Whether places are read from photos and from the files beside them."""
    sees_places: bool = True
    """Whether the caller who opened it sees exact places."""


@dataclass(frozen=True)
class NewJob(JobOptions):
    """A job to be created."""

    job_id: str
    source: str
    """Where the items come from, for people."""
    created_at: datetime
    spec: str | None = None
    """JSON of a source that the server reads; None if a client adds the items."""
    kind: JobKind = JobKind.INGEST


@dataclass(frozen=True)
class Job(JobOptions):
    """A job as stored in the ledger. `counts` has a value for every `ItemStatus`."""

    job_id: str
    source: str
    created_at: datetime
    sealed: bool
    """False while items can still be added."""
    total: int
    """Items added so far."""
    counts: Mapping[ItemStatus, int]
    finished_at: datetime | None = None
    reason: str | None = None
    """Why the job makes no progress, or why it failed."""
    obstacle: str | None = None
    """What an unfinished job without a `reason` waits for; its state stays the same."""
    paused: bool = False
    cancelled: bool = False
    source_failed: bool = False
    """Whether the source could not be read completely."""
    rate_per_s: float | None = None
    """Items per second over the last minute, while the job makes progress."""
    version: int = 0
    """Grows with every change, so that a listener knows what it has seen."""
    first_retry: int | None = None
    """The first of the chunks that retry failed items; all later ones do, too."""
    kind: JobKind = JobKind.INGEST
    warned: int = 0
    """Items with warnings."""
    left_out: Mapping[LeftOutReason, int] = field(default_factory=dict)
    """Entries of its source that are no items, by reason."""
    left_out_names: tuple[LeftOut, ...] = ()
    """The first `MOST_LEFT_OUT_NAMES` of them."""

    @property
    def done(self) -> int:
        """The number of items with an outcome."""
        return sum(self.counts.values())

    @property
    def eta_s(self) -> float | None:
        """Seconds until the job ends at its current rate, if its size is known."""
        size = self.total if self.sealed else self.expected
        if size is None or not self.rate_per_s or self.state.is_final:
            return None
        return max(0, size - self.done) / self.rate_per_s

    @property
    def state(self) -> JobState:
        """The state, which is derived from counters and flags and never stored."""
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
