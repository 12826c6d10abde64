"""The ledger of jobs: what is counted, handed out and found again; and its copy."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from petsearch.domain import ItemStatus, Job, JsonDict, LeftOut, NewJob, QueueName


@dataclass(frozen=True)
class ChunkSlot:
    """A chunk's number in its job and the number of its first item."""

    chunk_no: int
    first_item_no: int
    is_added: bool = False
    """Whether a call with the same key reserved and added it before."""


class Claim(StrEnum):
    """What a worker does with a chunk that the queue delivered."""

    RUN = "run"
    """It is yours until the lease ends; extend it while you work."""
    BUSY = "busy"
    """Another worker has it; drop the message."""
    GONE = "gone"
    """Accounted, cancelled, paused or deleted; drop the message."""


@dataclass(frozen=True)
class ClaimedChunk:
    """The answer to a claim."""

    claim: Claim
    deaths: int = 0
    """How many workers had this chunk before and neither accounted it nor gave it back."""


@dataclass(frozen=True)
class TakenChunks:
    """What is to be handed to the task queue; nothing of a job that is stopped or deleted."""

    chunk_nos: list[int] = field(default_factory=list)
    queue: QueueName = QueueName.BULK
    """That of the job."""
    wants_enumeration: bool = False
    """Whether the job's source is to be read on, and nobody reads it."""


@dataclass(frozen=True, kw_only=True)
class OverdueWork:
    """What a sweep has to look after in a job: nothing, for most."""

    job_id: str
    queue: QueueName
    lost: list[int]
    """Chunks whose worker died, or that were not claimed for very long."""
    unclaimed: list[int]
    """They wait in the queue, or their messages are lost: the depth of the queue tells which."""
    is_idle: bool
    """Whether the client that adds to the job has added nothing for long: see `seal_if_idle`."""
    waits: bool
    """Whether it has pending chunks, and is not paused."""
    unread: bool
    """Whether somebody was asked to read its source on, and nobody does: see `unclaimed`."""
    reading_lost: bool
    """Whether nobody reads its source and nobody was asked to, or that was very long ago."""


@dataclass(frozen=True)
class Enumeration:
    """Where the enumeration of a job's source goes on."""

    spec: str
    cursor: str | None
    next: ChunkSlot
    deaths: int = 0
    """How many workers read on from this cursor, added no chunk and did not release it."""


@dataclass(frozen=True)
class CallKey:
    """Tells a repeated call from another one."""

    name: str
    """Of the route, the caller and the caller's key."""
    digest: str
    """Of everything that the request says and brings."""


class JobRecords(Protocol):
    """Jobs as they are recorded: what clients and workers both read, and how they end.

    A deleted job stays deleted: a later write for it is dropped, or raises `NotFound` where the
    method says so.
    """

    def get(self, job_id: str) -> Job:
        """The job.

        Raises:
            NotFound: there is no such job.
        """

    def spec(self, job_id: str) -> str | None:
        """The JSON of the source that a job reads; None if clients add its items."""

    def newest(self, limit: int) -> list[Job]:
        """Jobs, newest first."""

    def active(self) -> list[str]:
        """The ids of all jobs that are not final."""

    def is_stopped(self, job_id: str) -> bool:
        """Whether the job was paused, cancelled or deleted: its chunks stop at the next batch."""

    def chunk_size(self, job_id: str, chunk_no: int) -> int:
        """How many items were added with a chunk; 0 if it is not known."""

    def problem_chunks(self, job_id: str) -> list[int]:
        """The chunks in which items were refused or failed."""

    def set_reason(self, job_id: str, reason: str | None) -> None:
        """Set why a job does not progress; None clears it."""

    def cancel(self, job_id: str, now: datetime) -> None:
        """End a job; what was accounted stays. A final one raises `Conflict`."""

    def delete(self, job_id: str) -> None:
        """Forget a job. Its objects are to be deleted: see `ChunkLedger.discards`."""

    def ping(self) -> None:
        """Return if the ledger answers, raise `Unavailable` otherwise."""


class JobWriter(JobRecords, Protocol):
    """Opens jobs and adds chunks to them, for clients and for the enumeration of a source."""

    def create(self, job: NewJob, *, first_chunk_items: int = 0) -> None:
        """Open a job without items.

        Args:
            first_chunk_items: reserves chunk 0 for so many items; 0 reserves none.

        Raises:
            Overloaded: too many jobs have not ended.
        """

    def reserve_chunk(
        self, job_id: str, item_count: int, *, call: CallKey | None = None
    ) -> ChunkSlot:
        """Take the next chunk number and item numbers; nothing is counted yet.

        Args:
            call: the same call gets the same slot again, so that it can be repeated, also when
                the job was sealed meanwhile. Of another size it is another slot until one is added.

        Raises:
            NotFound: there is no such job.
            Conflict: the job is sealed.
            InvalidInput: a call of this name had another digest.
        """

    def add_chunk(
        self,
        job_id: str,
        chunk_no: int,
        item_count: int,
        *,
        cursor: str | None = None,
        left_out: Sequence[LeftOut] = (),
        is_last: bool = False,
    ) -> bool:
        """Count a reserved chunk as pending work; False if it was added before.

        False as well if the job was cancelled or deleted. One that has ended without it goes on.

        Args:
            cursor: where the enumeration of the job's source goes on after this chunk.
            left_out: entries of the source that are no items, up to this cursor.
            is_last: seals the job, too.
        """

    def seal(self, job_id: str, now: datetime, left_out: Sequence[LeftOut] = ()) -> None:
        """No more chunks: the job ends when all are accounted.

        Args:
            left_out: entries of the source behind its last item; counted by the first call.

        Raises:
            NotFound: there is no such job.
        """

    def fail(self, job_id: str, reason: str, now: datetime) -> None:
        """Record that the source cannot be read: the job ends as failed once all is accounted."""

    def set_expected(self, job_id: str, expected: int) -> None:
        """How many items there will be."""


class JobLedger(JobWriter, Protocol):
    """Everything that clients do with jobs."""

    def pause(self, job_id: str) -> None:
        """Stop a job until it is resumed. A final one raises `Conflict`."""

    def resume(self, job_id: str) -> None:
        """Go on with a paused job. A final one raises `Conflict`."""

    def reserve_retry(self, job_id: str) -> int:
        """A chunk number for items of a final job that are to be tried again.

        Raises:
            NotFound: there is no such job.
        """

    def reopen(self, job_id: str, chunk_sizes: Mapping[int, int], *, warned: int = 0) -> None:
        """Uncount failed items of a final job and add the chunks that try them again.

        Args:
            chunk_sizes: the number of items by chunk number.
            warned: how many of the items were counted with warnings, which they may get again.

        Raises:
            NotFound: there is no such job.
            Conflict: it is not final, or cancelled, or fewer items failed: another retry was first.
        """


class ChunkLedger(JobRecords, Protocol):
    """Hands chunks to workers and accounts for them. Survives a restart of everything.

    A chunk is reserved (it has a number), pending (work to do), then queued: handed to the task
    queue, and held by a worker that extends its lease. Accounting ends it, exactly once.
    """

    def take_chunks(
        self, job_id: str, most_queued: int, patience_s: float, *, most_open: int = 0
    ) -> TakenChunks:
        """Make pending chunks queued, until `most_queued` are; the caller hands them to the queue.

        Args:
            patience_s: one that no worker has claimed by then counts as overdue.
            most_open: with so many open chunks, a job's source is not read on.
        """

    def claim_chunk(self, job_id: str, chunk_no: int, holder: str, lease_s: float) -> ClaimedChunk:
        """Try to hold a queued chunk for `lease_s` seconds."""

    def extend_chunk(self, job_id: str, chunk_no: int, holder: str, lease_s: float) -> bool:
        """Hold it longer; False if `holder` does not hold it any more."""

    def hand_back_chunk(self, job_id: str, chunk_no: int, holder: str, now: datetime) -> None:
        """Make a held chunk pending again, the next one of its job; of a cancelled job it ends."""

    def mark_item(self, job_id: str, item_no: int) -> int:
        """Note that an item is tried now; how many tries of it were noted and never cleared."""

    def clear_mark(self, job_id: str, item_no: int) -> None:
        """The item came to an end, or its failure was not its own."""

    def account_chunk(
        self,
        job_id: str,
        chunk_no: int,
        counts: Mapping[ItemStatus, int],
        now: datetime,
        *,
        warned: int = 0,
    ) -> bool:
        """Count a queued chunk as finished, exactly once; False if it was not queued (any more).

        Args:
            warned: how many of the items have warnings.
        """

    def overdue_work(
        self, job_ids: Sequence[str], long_wait_s: float, idle_s: float
    ) -> Iterator[OverdueWork]:
        """Look for work that was handed to the queue and did not come to an end in time.

        Args:
            job_ids: deleted ones are passed over.
            long_wait_s: a chunk that was not claimed, or a source that was not read on, for
                longer counts as lost.
            idle_s: a job to which nothing was added for so long counts as idle.
        """

    def requeue_chunk(self, job_id: str, chunk_no: int, patience_s: float, now: datetime) -> bool:
        """Take an overdue chunk from its dead worker; False if it is not to be queued again."""

    def seal_if_idle(self, job_id: str, idle_s: float, now: datetime) -> bool:
        """Seal a job to which clients add items, if none came for `idle_s` seconds.

        A paused job is left as it is.
        """

    def expired_jobs(self, keep_s: float, now: datetime) -> list[str]:
        """Ids of some of the jobs that ended `keep_s` seconds ago, or are too many and ended.

        Those that have not ended are among them if for as long nothing was added, retried or
        accounted, unless what was added waits for workers: those may have been away as long.
        """

    def end_leases(self, job_id: str) -> None:
        """Let all that is held of a job be overdue now: its holders are known to be gone."""

    def discards(self, *, held: bool = False) -> list[str]:
        """Ids of the cancelled and deleted jobs whose objects are still to be deleted.

        Args:
            held: also those that a worker is working on.
        """

    def hold_discard(self, job_id: str, lease_s: float) -> bool:
        """Work on one for `lease_s` seconds, or for longer; False if it is not to be done."""

    def end_discard(self, job_id: str) -> None:
        """All of its objects are deleted."""

    def report_worker(self, reason: str | None, for_s: float) -> None:
        """Note for `for_s` seconds that a worker is here, and why it waits if it does."""

    def claim_chore(self, name: str, for_s: float) -> bool:
        """Claim a chore for `for_s` seconds; False if another process has claimed it."""


class EnumerationLedger(JobWriter, Protocol):
    """Lets one worker at a time read the source of a job."""

    def begin_enumeration(
        self, job_id: str, holder: str, lease_s: float, most_open: int
    ) -> Enumeration | None:
        """Hold the enumeration of a job's source; None if it is held, done, stopped or ahead.

        Args:
            most_open: it is far enough ahead with so many chunks pending or queued.
        """

    def extend_enumeration(self, job_id: str, holder: str, lease_s: float) -> bool:
        """Hold it longer; False if `holder` does not hold it any more."""

    def end_enumeration(self, job_id: str, holder: str) -> None:
        """Release it."""

    def clear_deaths(self, job_id: str) -> None:
        """Forget the deaths: the reader of the source is alive; it waits, or stops by itself."""

    def has_room(self, job_id: str, most_open: int) -> bool:
        """Whether fewer chunks than that are pending or queued."""


class IdempotencyStore(Protocol):
    """Remembers calls and their answers, so that a repeated call gets the same answer."""

    def claim_call(self, call: CallKey, holder: str, for_s: float) -> str | None:
        """The answer to a call; None if there is none: `holder` now has it for `for_s` seconds.

        Raises:
            Conflict: another holder has it.
            InvalidInput: a call of this name had another digest.
        """

    def extend_call(self, call: CallKey, holder: str, for_s: float) -> bool:
        """Hold a call longer; False if `holder` does not hold it any more."""

    def keep_answer(self, call: CallKey, holder: str, answer: str, for_s: float) -> bool:
        """Remember the answer of a held call for `for_s` seconds; False if it is not held."""

    def release_call(self, call: CallKey, holder: str) -> None:
        """Forget a held call, so that it can be claimed again."""


@dataclass(frozen=True)
class OpenChunks:
    """Chunks of a job that a copy of the ledger does not count, though they may have been run."""

    waiting: frozenset[int]
    """Those that were pending or queued."""
    not_added: frozenset[int]
    """Those that were given out, and whose items came later."""
    next_chunk: int
    """This number and those after it were given out later, and will be given out again."""


class LedgerCopy(Protocol):
    """Everything that is kept in the ledger's server, to be written elsewhere."""

    def counts(self) -> tuple[int, int]:
        """How many jobs and how many API keys there are."""

    def export(self) -> Iterator[JsonDict]:
        """Every entry that does not expire, as JSON.

        Each job is read at one moment, and the lists of jobs name those that were read.
        """

    def open_chunks(self, entries: Iterable[JsonDict]) -> Mapping[str, OpenChunks]:
        """The open chunks of each job that `export` read, by its id."""

    def load(self, entries: Iterable[JsonDict]) -> None:
        """Write what `export` read; what has the same name is replaced. May be repeated."""
