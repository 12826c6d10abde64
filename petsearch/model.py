"""The words of the domain as frozen dataclasses: images, models, searches and jobs."""

import functools
import hashlib
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from petsearch.calibration import Calibration

Embedding = NDArray[np.float32]
"""float32, L2-normalised: `(dim,)`."""
Embeddings = NDArray[np.float32]
"""float32, each row L2-normalised: `(n, dim)`."""
Pixels = NDArray[np.uint8]
"""uint8 RGB, channels first: `(3, height, width)`, or `(n, 3, height, width)`."""

IMAGE_NAMESPACE = uuid.UUID("5f0c8a52-6d0c-5c0e-9b4e-3a3f6f6d7a11")


@functools.lru_cache(maxsize=1024)
def image_id_of(sha256_hex: str) -> str:
    """The id of an image: UUIDv5 of the SHA-256 of its bytes, so that ingesting is idempotent."""
    return str(uuid.uuid5(IMAGE_NAMESPACE, sha256_hex))


def sha256_of(data: bytes) -> str:
    """Hex SHA-256 of `data`."""
    return hashlib.sha256(data).hexdigest()


def normalise_name(name: str) -> str:
    """A breed, species or status as it is stored and compared: `Maine_Coon ` is `maine coon`."""
    return " ".join(name.replace("_", " ").lower().split())


def hash_distance(one: str, other: str) -> int:
    """How many of the 64 bits of two perceptual hashes differ, 0..64."""
    return (int(one, 16) ^ int(other, 16)).bit_count()


def hash_bands(phash: str) -> tuple[str, ...]:
    """The four 16-bit quarters of a perceptual hash with their places: `("0:ab12", "1:…", …)`.

    Hashes that differ in at most three bits have at least one band in common.
    """
    return tuple(f"{place}:{phash[4 * place : 4 * place + 4]}" for place in range(4))


# --- models ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class PixelSpec:
    """What pixels a model wants. Normalisation (mean, std) is the embedder's own business."""

    height: int
    width: int
    resize_mode: Literal["shortest", "longest", "squash"] = "shortest"
    interpolation: Literal["bicubic", "bilinear"] = "bicubic"
    fill_color: int = 0


@dataclass(frozen=True)
class Label:
    """A breed the model can name, and the species it belongs to."""

    breed: str
    species: str


@dataclass(frozen=True)
class ModelInfo:
    """A loaded CLIP as the other parts see it."""

    model_id: str
    """Name and the first 12 hex digits of a SHA-256 over weights and config."""
    spec: str
    """How to load it again: `hub:ViT-B-32/openai`, `dir:<path>`, `sample`."""
    dim: int
    pixel_spec: PixelSpec
    logit_scale: float
    labels: tuple[Label, ...]
    prompt_templates: tuple[str, ...]
    """How a bare query becomes prompts; each holds one `{}`."""
    label_templates: tuple[str, ...]
    """How a breed's name becomes prompts when a photo's breed is predicted."""
    device: str = "cpu"
    precision: str = "fp32"
    calibration: Calibration | None = None
    """What its scores are worth, where that was fitted."""

    @property
    def is_sample(self) -> bool:
        """Whether this is the bundled demo model, which knows drawings only."""
        return self.spec == "sample"


@dataclass(frozen=True)
class ModelUsage:
    """What a loaded model has done and holds."""

    text_positions_needed: int = 0
    """Tokens of texts that were encoded, each up to its end of text."""
    text_positions_computed: int = 0
    """The same with padding: what the device worked on."""
    device_memory_bytes: int = 0
    """0 on the CPU."""


class Priority(StrEnum):
    """Who waits: a person (`query`) goes before bulk work (`ingest`)."""

    QUERY = "query"
    INGEST = "ingest"


# --- images ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class ImageMetadata:
    """What a client may say about an image. Empty values mean "not said"."""

    filename: str = ""
    breed: str | None = None
    species: str | None = None
    animal_id: str | None = None
    status: str | None = None
    tags: tuple[str, ...] = ()
    taken_at: datetime | None = None
    attributes: Mapping[str, str] = field(default_factory=dict)
    location: tuple[float, float] | None = None
    """Latitude and longitude in degrees (WGS 84)."""


@dataclass(frozen=True)
class Prediction:
    """What the model takes an image for: zero-shot over its labels."""

    breed: str
    species: str
    confidence: float
    """Softmax over the model's labels at its own temperature, 0..1; not calibrated."""


@dataclass(frozen=True)
class ItemRef:
    """Which item of which job."""

    job_id: str
    item_no: int


@dataclass(frozen=True)
class ImageRecord:
    """An image as it is indexed: the payload of its point."""

    image_id: str
    sha256: str
    metadata: ImageMetadata
    prediction: Prediction | None
    width: int
    height: int
    content_type: str
    size_bytes: int
    created_at: datetime
    updated_at: datetime
    model_id: str
    first_seen: ItemRef
    sources: tuple[ItemRef, ...] = ()
    phash: str | None = None
    """`perceptual_hash`: 16 hex digits. None for images indexed before there was one."""

    @property
    def breed(self) -> str | None:
        """The label if there is one, else what was predicted."""
        return self.metadata.breed or (self.prediction.breed if self.prediction else None)

    @property
    def species(self) -> str | None:
        """The label if there is one, else what was predicted."""
        return self.metadata.species or (self.prediction.species if self.prediction else None)

    @property
    def breed_source(self) -> Literal["label", "predicted"] | None:
        """Where `breed` comes from."""
        if self.metadata.breed:
            return "label"
        return "predicted" if self.prediction else None


@dataclass(frozen=True)
class Point:
    """A record with its embedding: what the index holds."""

    record: ImageRecord
    embedding: Embedding


# --- searches -------------------------------------------------------------------------------


@dataclass(frozen=True)
class Near:
    """Not farther than `km` kilometres from a place in degrees."""

    lat: float
    lon: float
    km: float


@dataclass(frozen=True)
class TimeRange:
    """From `since` to before `until`; None is no bound."""

    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True)
class Filters:
    """What a hit must satisfy; only what the caller sent."""

    species: str | None = None
    breed: str | None = None
    filename: str | None = None
    min_sources: int | None = None
    """At least so many items brought the image."""
    phash_bands: tuple[str, ...] = ()
    """At least one of these (`hash_bands`) is a band of the image's perceptual hash."""
    status: str | None = None
    animal_id: str | None = None
    tags: tuple[str, ...] = ()
    """All of them."""
    attributes: Mapping[str, str] = field(default_factory=dict)
    """All of them, by equality."""
    near: Near | None = None
    created: TimeRange | None = None
    taken: TimeRange | None = None
    """Photos that do not say when they were taken are in no such range."""
    exclude_ids: tuple[str, ...] = ()


SortBy = Literal["created_at", "taken_at"]
"""What a list without a query is sorted by, the newest first."""


@dataclass(frozen=True)
class Hit:
    """One search result. `score` is cosine similarity, -1..1, higher is better."""

    record: ImageRecord
    score: float
    confidence: float | None = None
    """Which share of such results is right, where the model is calibrated for such queries."""


@dataclass(frozen=True)
class SearchResult:
    """Hits, best first, and the model that ranked them."""

    hits: tuple[Hit, ...]
    model_id: str
    no_good_match: bool = False
    """There are no hits, or the query seems to be about something else than these photos."""
    searched_for: str | None = None
    """The corrected text, where a name in it was corrected."""
    next_cursor: str | None = None


# --- jobs -----------------------------------------------------------------------------------


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


JsonDict = dict[str, Any]
"""A decoded JSON object, only at the edges where one is read or written."""
