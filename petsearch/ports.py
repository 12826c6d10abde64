"""What the core needs from the outside, as Protocols with few methods. All calls are synchronous.

Every method may raise `Unavailable` when the thing behind the port does not answer. One contract
suite per port (tests/contract) runs over every adapter.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import BinaryIO, Protocol

import numpy as np
from numpy.typing import NDArray

from petsearch.model import (
    Embedding,
    Embeddings,
    Filters,
    Hit,
    ImageRecord,
    ItemStatus,
    Job,
    ModelInfo,
    ModelUsage,
    Pixels,
    Point,
    Priority,
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

    def replace_record(self, collection: str, record: ImageRecord) -> None:
        """Replace the payload of an existing point; its embedding stays."""

    def get(self, collection: str, image_ids: Sequence[str]) -> dict[str, ImageRecord]:
        """The records of those of `image_ids` that exist."""

    def get_embedding(self, collection: str, image_id: str) -> Embedding:
        """The embedding of a point.

        Raises:
            NotFound: there is no such point.
        """

    def search(
        self,
        collection: str,
        embedding: Embedding,
        *,
        limit: int,
        filters: Filters,
        min_score: float | None = None,
    ) -> list[Hit]:
        """The `limit` nearest points by cosine, best first.

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

    def count(self, collection: str, filters: Filters) -> int:
        """How many points satisfy `filters`."""

    def facet(self, collection: str, field: str, filters: Filters) -> dict[str, int]:
        """Points per value of a keyword field (`breed`, `tags`), most frequent first."""

    def delete(self, collection: str, image_ids: Sequence[str]) -> None:
        """Delete points; absent ones are ignored."""

    def ping(self) -> None:
        """Return if the index answers, raise `Unavailable` otherwise."""

    def close(self) -> None:
        """Flush and release."""


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

    def get(self, key: str) -> bytes:
        """The bytes under `key`.

        Raises:
            NotFound: there is no such object.
        """

    def open(self, key: str) -> BinaryIO:
        """A stream of the bytes under `key`; the caller closes it.

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
        """The keys that start with `prefix`, sorted."""

    def local_path(self, key: str) -> Path | None:
        """Where the object lies on this machine's disk, if the store has it there."""

    def ping(self) -> None:
        """Return if the store answers, raise `Unavailable` otherwise."""


@dataclass(frozen=True)
class ChunkSlot:
    """A chunk's number in its job and the number of its first item."""

    chunk_no: int
    first_item_no: int


class JobLedger(Protocol):
    """Jobs, their chunks and their counters. Survives a restart of everything."""

    def create(
        self, job_id: str, *, source: str, created_at: datetime, expected: int | None
    ) -> None:
        """Open a job without items."""

    def get(self, job_id: str) -> Job:
        """The job.

        Raises:
            NotFound: there is no such job.
        """

    def newest(self, limit: int) -> list[Job]:
        """Jobs, newest first."""

    def reserve_chunk(self, job_id: str, item_count: int) -> ChunkSlot:
        """Take the next chunk number and item numbers; nothing is counted yet.

        Raises:
            NotFound: there is no such job.
            Conflict: the job is sealed.
        """

    def add_chunk(self, job_id: str, chunk_no: int, item_count: int) -> None:
        """Count a reserved chunk as work to do. Doing it twice is doing it once."""

    def seal(self, job_id: str, now: datetime) -> None:
        """No more chunks: the job ends when all are accounted."""

    def account_chunk(
        self, job_id: str, chunk_no: int, counts: Mapping[ItemStatus, int], now: datetime
    ) -> bool:
        """Count a finished chunk exactly once; False if it was counted before."""

    def is_accounted(self, job_id: str, chunk_no: int) -> bool:
        """Whether the chunk was counted as finished."""

    def set_reason(self, job_id: str, reason: str | None) -> None:
        """Say why a job does not move, or that it moves again."""

    def unfinished_chunks(self) -> list[tuple[str, int]]:
        """(job_id, chunk_no) of all work that was added and not accounted."""

    def ping(self) -> None:
        """Return if the ledger answers, raise `Unavailable` otherwise."""


class TaskQueue(Protocol):
    """Hands chunks to workers, at least once each."""

    def enqueue_chunk(self, job_id: str, chunk_no: int) -> None:
        """Queue a chunk for ingest."""
