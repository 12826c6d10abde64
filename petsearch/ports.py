"""What the core needs from the outside, as Protocols with few methods. All calls are synchronous.

Every method may raise `Unavailable` when the thing behind the port does not answer. One contract
suite per port (tests/contract) runs over every adapter.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import BinaryIO, Protocol

import numpy as np
from numpy.typing import NDArray

from petsearch.keys import ApiKey
from petsearch.model import (
    Embedding,
    Embeddings,
    Filters,
    Hit,
    ImageRecord,
    ItemStatus,
    Job,
    JsonDict,
    ModelInfo,
    ModelUsage,
    NewJob,
    Pixels,
    Point,
    Priority,
    QueueName,
    SortBy,
)

Tokens = NDArray[np.int64]
"""Token ids `(n, context_length)`."""


class ClipModel(Protocol):
    """A CLIP on a device. Only `tokenise` may be called from any thread.

    Encoding raises `DeviceMemoryFull` or `DeviceLost` where that is what is wrong.
    """

    info: ModelInfo

    def tokenise(self, texts: Sequence[str]) -> Tokens:
        """Token ids, cut to the model's context length and padded."""

    def encode_pixels(self, pixels: Pixels) -> Embeddings:
        """uint8 `(n, 3, height, width)` to float32 `(n, dim)`."""

    def encode_tokens(self, tokens: Tokens) -> Embeddings:
        """int64 `(n, context_length)` to float32 `(n, dim)`."""

    def usage(self) -> ModelUsage:
        """What it has done since it was loaded."""


class Embedder(Protocol):
    """Turns texts and pixels into embeddings of one space."""

    def models(self) -> tuple[ModelInfo, ...]:
        """The loaded models, the default one first."""

    def embed_texts(
        self,
        texts: Sequence[str],
        *,
        model_id: str | None = None,
        priority: Priority = Priority.QUERY,
    ) -> Embeddings:
        """Embed `texts` as they are, without a prompt template: float32 `(n, dim)`.

        Raises:
            Conflict: `model_id` is not loaded.
            Overloaded: too much is queued already.
        """

    def embed_pixels(
        self,
        pixels: Pixels,
        *,
        model_id: str | None = None,
        priority: Priority = Priority.QUERY,
    ) -> Embeddings:
        """Embed uint8 pixels `(n, 3, height, width)` of the model's `PixelSpec`: `(n, dim)`.

        Raises:
            InvalidInput: dtype or shape is not what the model wants.
            Conflict: `model_id` is not loaded.
            Overloaded: too much is queued already.
        """

    def load(self, spec: str) -> ModelInfo:
        """Load one more model; the others serve meanwhile. One that is loaded is left as it is.

        Raises:
            Conflict: as many models as can be are loaded, or another one is being loaded.
            ConfigurationError, InvalidInput: there is no such model.
        """

    def unload(self, model_id: str) -> None:
        """Let go of a model.

        Raises:
            Conflict: it is not loaded, or it is the only one.
        """

    def close(self) -> None:
        """Finish what is queued and release the device."""


class Index(Protocol):
    """Points in collections, and one pointer (alias) that says which collection is current."""

    def create_collection(self, collection: str, dim: int) -> None:
        """Create `collection` with its payload indexes; one that exists is left as it is."""

    def current(self) -> str | None:
        """The collection the alias points to, or None before the first one."""

    def point_alias_to(self, collection: str) -> None:
        """Make `collection` the current one, atomically."""

    def insert(self, collection: str, points: Sequence[Point]) -> None:
        """Insert points whose ids are absent, leave the others untouched; durable on return."""

    def replace_records(self, collection: str, records: Sequence[ImageRecord]) -> None:
        """Replace the payloads of existing points; their embeddings stay. Durable on return.

        Raises:
            NotFound: one of the points does not exist (any more).
        """

    def get(self, collection: str, image_ids: Sequence[str]) -> dict[str, ImageRecord]:
        """The records of those of `image_ids` that exist."""

    def get_embedding(self, collection: str, image_id: str) -> Embedding:
        """The embedding of a point.

        Raises:
            NotFound: there is no such point.
        """

    def read_points(self, collection: str, image_ids: Sequence[str]) -> list[Point]:
        """Records with embeddings of those of `image_ids` that exist."""

    def search(
        self,
        collection: str,
        embedding: Embedding,
        *,
        limit: int,
        filters: Filters,
        min_score: float | None = None,
        exact: bool = False,
    ) -> list[Hit]:
        """The `limit` nearest points by cosine, best first.

        Args:
            exact: look at every point, whatever that takes.

        Raises:
            NotFound: there is no such collection.
        """

    def list_newest(
        self,
        collection: str,
        *,
        limit: int,
        filters: Filters,
        before: str | None = None,
        sort: SortBy = "created_at",
    ) -> tuple[list[ImageRecord], str | None]:
        """Records by a time, newest first, and the cursor of the next page.

        By `taken_at`, records that do not say it are left out.
        """

    def list_ids(self, collection: str, *, after: str | None, limit: int) -> list[str]:
        """At most `limit` ids in order, those greater than `after`: a walk over everything.

        Fewer than `limit` are the end. A point inserted or deleted meanwhile may be missed.
        """

    def list_versions(
        self, collection: str, *, after: str | None, limit: int
    ) -> list[tuple[str, datetime]]:
        """As `list_ids`, each with when its record was last changed."""

    def count(self, collection: str, filters: Filters) -> int:
        """How many points satisfy `filters`."""

    def facet(self, collection: str, field: str, filters: Filters) -> dict[str, int]:
        """Points per value of a keyword field (`breed`, `phash_bands`), most frequent first."""

    def delete(self, collection: str, image_ids: Sequence[str]) -> None:
        """Delete points; absent ones are ignored."""

    def delete_collection(self, collection: str) -> None:
        """Delete a collection with all its points; an absent one is ignored.

        Raises:
            Conflict: it is the current one.
        """

    def ping(self) -> None:
        """Return if the index answers, raise `Unavailable` otherwise."""

    def close(self) -> None:
        """Flush and release."""


class Snapshots(Protocol):
    """Copies of whole collections that an index server makes and takes by itself."""

    def is_whole(self, collection: str) -> bool:
        """Whether the server that is asked holds all of it; a snapshot has only what it holds."""

    def made(self, collection: str) -> AbstractContextManager[Iterator[bytes]]:
        """A new snapshot, streamed; the server's own copy is deleted at the end."""

    def recover(self, collection: str, file: BinaryIO, sha256: str) -> None:
        """Replace `collection`, or make it, from a snapshot.

        Raises:
            InvalidInput: the server takes it for damaged, or for another version's.
        """


@dataclass(frozen=True)
class StoredObject:
    """An object's bytes are read through `open`; this is what is known without reading them."""

    key: str
    size_bytes: int
    modified_at: datetime


class ObjectStore(Protocol):
    """Bytes under keys such as `thumbs/0a/<id>.jpg`."""

    def put(self, key: str, data: bytes) -> None:
        """Store `data` whole or not at all; an existing object is replaced.

        Raises:
            StorageFull: there is no space left.
        """

    def put_stream(self, key: str, file: BinaryIO, size_bytes: int | None) -> None:
        """Store what `file` still holds, whole or not at all, with little of it in memory.

        Args:
            size_bytes: how much that is; None where it is not known.

        Raises:
            InvalidInput: the stream is shorter or longer than `size_bytes`.
            StorageFull: there is no space left.
        """

    def get(self, key: str) -> bytes:
        """The bytes under `key`.

        Raises:
            NotFound: there is no such object.
        """

    def open(self, key: str, *, offset: int = 0) -> BinaryIO:
        """A stream of the bytes under `key` from byte `offset` on; the caller closes it.

        `offset` is less than the object's size, or 0. Reading may raise `Unavailable`.

        Raises:
            NotFound: there is no such object.
        """

    def stat(self, key: str) -> StoredObject:
        """Size and modification time.

        Raises:
            NotFound: there is no such object.
        """

    def move(self, source: str, target: str) -> None:
        """Rename an object, replacing `target`.

        Raises:
            NotFound: there is no object `source`.
        """

    def delete(self, key: str) -> None:
        """Delete an object; an absent one is ignored."""

    def list_keys(self, prefix: str) -> Iterator[str]:
        """The keys that start with `prefix`, sorted; read as the caller goes on."""

    def list_objects(self, prefix: str) -> Iterator[StoredObject]:
        """The objects whose keys start with `prefix`, by key; read as the caller goes on."""

    def local_path(self, key: str) -> Path | None:
        """Where the object lies on this machine's disk, if the store has it there."""

    def ping(self) -> None:
        """Return if the store answers, raise `Unavailable` otherwise."""


class LedgerCopy(Protocol):
    """Everything that is kept in the ledger's server, to be written elsewhere."""

    def counts(self) -> tuple[int, int]:
        """How many jobs and how many API keys there are."""

    def export(self) -> Iterator[JsonDict]:
        """Every entry that does not expire, as JSON. Each job is read at one moment."""

    def load(self, entries: Iterable[JsonDict]) -> None:
        """Write what `export` read; what has the same name is replaced. May be repeated."""


@dataclass(frozen=True)
class ChunkSlot:
    """A chunk's number in its job and the number of its first item."""

    chunk_no: int
    first_item_no: int
    is_added: bool = False
    """Whether a call with the same key reserved and added it before."""


class Claim(StrEnum):
    """What a worker that was given a chunk does with it."""

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
class OverdueChunks:
    """Chunks that were handed to the queue and did not come to an end in time."""

    lost: tuple[int, ...]
    """Their worker died, or nobody claimed them for very long."""
    unclaimed: tuple[int, ...]
    """They wait in the queue, or its message is lost: its depth tells."""


@dataclass(frozen=True)
class Enumeration:
    """Where the enumeration of a job's source goes on."""

    spec: str
    cursor: str | None
    next: ChunkSlot


@dataclass(frozen=True)
class KeptAnswer:
    """What is remembered of a call: its digest, and its answer once there is one."""

    digest: str
    answer: str | None


class JobLedger(Protocol):
    """Jobs, their chunks and their counters. Survives a restart of everything.

    A chunk is reserved (it has a number), pending (work to do), then queued: handed to the task
    queue, and held by a worker that extends its lease. Accounting ends it, exactly once.
    """

    def create(self, job: NewJob) -> None:
        """Open a job without items."""

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

    def reserve_chunk(self, job_id: str, item_count: int, *, key: str | None = None) -> ChunkSlot:
        """Take the next chunk number and item numbers; nothing is counted yet.

        Args:
            key: the same key gets the same slot again, so that a call can be repeated, also when
                the job was sealed meanwhile. Of another size it is another slot until one is added.

        Raises:
            NotFound: there is no such job.
            Conflict: the job is sealed.
        """

    def add_chunk(
        self, job_id: str, chunk_no: int, item_count: int, *, cursor: str | None = None
    ) -> bool:
        """Count a reserved chunk as pending work; False if it was added before.

        Args:
            cursor: where the enumeration of the job's source goes on after this chunk.
        """

    def seal(self, job_id: str, now: datetime) -> None:
        """No more chunks: the job ends when all are accounted."""

    def fail(self, job_id: str, reason: str, now: datetime) -> None:
        """The job's source cannot be read (further): it ends as failed when all is accounted."""

    def set_expected(self, job_id: str, expected: int) -> None:
        """How many items there will be."""

    def take_chunks(self, job_id: str, most_queued: int, patience_s: float) -> list[int]:
        """Make pending chunks queued, until `most_queued` are; the caller hands them to the queue.

        Args:
            patience_s: one that no worker has claimed by then counts as overdue.
        """

    def claim_chunk(self, job_id: str, chunk_no: int, holder: str, lease_s: float) -> ClaimedChunk:
        """Try to hold a queued chunk for `lease_s` seconds."""

    def extend_chunk(self, job_id: str, chunk_no: int, holder: str, lease_s: float) -> bool:
        """Hold it longer; False if `holder` does not hold it any more."""

    def hand_back_chunk(self, job_id: str, chunk_no: int, holder: str) -> None:
        """Make a held chunk pending again, the next one of its job."""

    def is_stopped(self, job_id: str) -> bool:
        """Whether the job was paused, cancelled or deleted: its chunks stop at the next batch."""

    def mark_item(self, job_id: str, item_no: int) -> int:
        """Note that an item is tried now; how many tries of it were noted and never cleared."""

    def clear_mark(self, job_id: str, item_no: int) -> None:
        """The item came to an end, or its failure was not its own."""

    def account_chunk(
        self, job_id: str, chunk_no: int, counts: Mapping[ItemStatus, int], now: datetime
    ) -> bool:
        """Count a queued chunk as finished, exactly once; False if it was not queued (any more)."""

    def overdue_chunks(self, job_id: str, long_wait_s: float) -> OverdueChunks:
        """Queued chunks whose lease or patience has ended."""

    def requeue_chunk(self, job_id: str, chunk_no: int, patience_s: float, now: datetime) -> bool:
        """Take an overdue chunk from its dead worker; False if it is not to be queued again."""

    def end_leases(self, job_id: str) -> None:
        """Let all that is held of a job be overdue now: its holders are known to be gone."""

    def chunk_size(self, job_id: str, chunk_no: int) -> int:
        """How many items were added with a chunk; 0 if it is not known."""

    def problem_chunks(self, job_id: str) -> list[int]:
        """The chunks in which items were refused or failed."""

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
        """Let go of it."""

    def wants_enumeration(self, job_id: str, most_open: int) -> bool:
        """Whether the source should be read on, and nobody does."""

    def has_room(self, job_id: str, most_open: int) -> bool:
        """Whether fewer chunks than that are pending or queued."""

    def pause(self, job_id: str) -> None:
        """Stop a job until it is resumed. A final one raises `Conflict`."""

    def resume(self, job_id: str) -> None:
        """Go on with a paused job. A final one raises `Conflict`."""

    def cancel(self, job_id: str, now: datetime) -> None:
        """End a job; what was accounted stays. A final one raises `Conflict`."""

    def reserve_retry(self, job_id: str) -> int:
        """A chunk number for items of a final job that are to be tried again."""

    def reopen(self, job_id: str, chunk_sizes: Mapping[int, int]) -> None:
        """Uncount failed items of a final job and add the chunks that try them again.

        Args:
            chunk_sizes: the number of items by chunk number.

        Raises:
            NotFound: there is no such job.
            Conflict: it is not final, or cancelled.
        """

    def delete(self, job_id: str) -> None:
        """Forget a job."""

    def set_reason(self, job_id: str, reason: str | None) -> None:
        """Say why a job does not move, or that it moves again."""

    def is_first(self, what: str, for_s: float) -> bool:
        """Whether nobody else asked for `what` in the last `for_s` seconds: one does the chore."""

    def claim_answer(self, name: str, digest: str, for_s: float) -> KeptAnswer | None:
        """What is remembered of the call `name`; None if nothing was: it is yours for `for_s`."""

    def keep_answer(self, name: str, digest: str, answer: str, for_s: float) -> None:
        """Remember the answer of a claimed call for `for_s` seconds."""

    def drop_answer(self, name: str) -> None:
        """Forget a call, claimed or answered."""

    def ping(self) -> None:
        """Return if the ledger answers, raise `Unavailable` otherwise."""


class TaskQueue(Protocol):
    """Hands work to workers, at least once each."""

    def enqueue_chunk(self, job_id: str, chunk_no: int, queue: QueueName) -> None:
        """Queue a chunk for ingest."""

    def enqueue_enumeration(self, job_id: str) -> None:
        """Queue the reading of a job's source."""

    def enqueue_discard(self, job_id: str) -> None:
        """Queue the deletion of what a job left in the store."""

    def depth(self, queue: QueueName) -> int:
        """How many messages wait there."""


class KeyStore(Protocol):
    """Keeps API keys and the sessions that were opened with them. Secrets come hashed."""

    def add(self, key: ApiKey) -> None:
        """Keep a new key."""

    def all(self) -> list[ApiKey]:
        """Every key ever made, the oldest first; revoked ones stay."""

    def revoke(self, key_id: str, now: datetime) -> None:
        """Make a key invalid for ever; the time of the first call stays.

        Raises:
            NotFound: there is no such key.
        """

    def note_use(self, key_id: str, at: datetime) -> None:
        """Remember when a key was used; an unknown key is ignored."""

    def open_session(self, token_hash: str, key_id: str, for_s: float) -> None:
        """Remember for so long that the token of this hash stands for a key."""

    def session_key_id(self, token_hash: str) -> str | None:
        """The key a session was opened with; None if it has ended."""

    def close_session(self, token_hash: str) -> None:
        """End a session; one that has ended is ignored."""


@dataclass(frozen=True)
class WriteSetState:
    """Which collections are written, beside the current one."""

    epoch: int = 0
    """Grows with every change of `collections`."""
    collections: tuple[str, ...] = ()
    previous: str | None = None
    """The collection that was current before the current one was promoted."""
    moved_at: datetime | None = None
    """When the alias was last moved."""


class WriteSetStore(Protocol):
    """Keeps the write set and who writes. All processes share it; every change is atomic."""

    def read(self) -> WriteSetState:
        """The state; an empty one where nothing was ever kept."""

    def change(self, add: Sequence[str], remove: Sequence[str]) -> WriteSetState:
        """Add and remove collections; the epoch grows if that changes anything."""

    def note_move(self, previous: str | None, now: datetime) -> None:
        """Remember what the alias pointed to before it was moved, if one may go back to it."""

    def begin_write(self, token: str, lease_s: float) -> WriteSetState | None:
        """Count a writer in for `lease_s` seconds at most; None while writers are held."""

    def end_write(self, token: str) -> int:
        """Count a writer out; the epoch by now."""

    def count_writers(self, before_epoch: int) -> int:
        """How many writers that began in an earlier epoch have neither ended nor lapsed."""

    def hold_writers(self, holder: str, for_s: float) -> bool:
        """Let nobody begin to write for so long; False if somebody else holds them."""

    def holds_writers(self, holder: str) -> bool:
        """Whether `holder` still does."""

    def release_writers(self, holder: str) -> None:
        """Let them begin again."""


@dataclass(frozen=True)
class Allowance:
    """What a rate limit says to one request."""

    is_granted: bool
    remaining: int
    """Requests that would be granted now."""
    retry_after_s: float
    """How long until the next one is granted; 0 where one would be now."""
    full_after_s: float
    """How long until all of the limit is there again."""


class RateLimiter(Protocol):
    """Counts requests of all processes together."""

    def take(self, who: str, per_minute: int) -> Allowance:
        """Ask for one request of `who`, who may have a minute's worth at once."""
