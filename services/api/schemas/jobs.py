"""What goes over the wire about jobs, and how it is made from the domain's own types."""

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Discriminator, Field, StringConstraints, Tag

from petsearch.domain import (
    MOST_LEFT_OUT_NAMES,
    ItemStatus,
    Job,
    JobKind,
    JobState,
    LeftOutReason,
    OnDuplicate,
    Outcome,
)
from petsearch.domain.metadata import Count, PhotoMetadata, ShortText
from petsearch.domain.strict_model import StrictModel
from petsearch.sources import SourceSpec
from services.api.schemas.common import ImageId

ON_DUPLICATE = (
    "What becomes of metadata where the photo is indexed already. merge: it fills empty fields and "
    "adds tags and attributes. replace: it replaces what there is. keep: nothing is changed, and "
    "that the photo came again is not recorded."
)
EXIF_DATES = "Whether the date in a photo's file counts where nobody states one."
GPS = "Whether places are read from photos and from the files beside them."
_MOST_ITEMS = 1_000_000_000
Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]


class ItemCounts(BaseModel):
    """Items by what became of them."""

    ingested: int = 0
    duplicate: int = 0
    refused: int = 0
    failed: int = 0


class LeftOutName(BaseModel):
    """An entry of a source that is no photo."""

    name: str
    reason: LeftOutReason


class LeftOutBody(BaseModel):
    """Entries of a job's source that are no items of it."""

    counts: dict[LeftOutReason, int]
    names: list[LeftOutName] = Field(description=f"The first {MOST_LEFT_OUT_NAMES} of them.")

    @classmethod
    def of(cls, job: Job) -> Self:
        """From a job."""
        names = [LeftOutName(name=e.name, reason=e.reason) for e in job.left_out_names]
        return cls(counts=dict(job.left_out), names=names)


class JobBody(BaseModel):
    """A job. `done` counts items that were accounted, whatever became of them."""

    job_id: str
    kind: JobKind = Field(JobKind.INGEST, description="reindex, pixels: its items are images.")
    source: str
    state: JobState
    created_at: datetime
    finished_at: datetime | None
    sealed: bool
    expected: int | None
    total: int
    done: int
    counts: ItemCounts
    warned: int = Field(description="Items with warnings; their outcomes say which.")
    left_out: LeftOutBody
    reason: str | None = Field(description="What it waits for, or why it failed as a whole.")
    on_duplicate: OnDuplicate
    exif_dates: bool = Field(default=True, description=EXIF_DATES)
    gps: bool = Field(default=False, description=GPS)
    rate_per_s: float | None = Field(description="Items per second over the last minute.")
    eta_s: float | None = Field(description="Seconds until it ends at this rate.")

    @classmethod
    def of(cls, job: Job) -> Self:
        """From a job."""
        return cls(
            job_id=job.job_id,
            kind=job.kind,
            source=job.source,
            state=job.state,
            created_at=job.created_at,
            finished_at=job.finished_at,
            sealed=job.sealed,
            expected=job.expected,
            total=job.total,
            done=job.done,
            counts=ItemCounts(**{status.value: count for status, count in job.counts.items()}),
            warned=job.warned,
            left_out=LeftOutBody.of(job),
            reason=job.reason or job.obstacle,
            on_duplicate=job.on_duplicate,
            exif_dates=job.exif_dates,
            gps=job.gps,
            rate_per_s=job.rate_per_s,
            eta_s=job.eta_s,
        )


class JobEvent(BaseModel):
    """A server-sent event of a job, as readers of event streams take it apart."""

    event: Literal["job"]
    id: str = Field(description="The version of the job, for `Last-Event-ID`.")
    retry: int = Field(description="Milliseconds to wait before connecting again.")
    data: JobBody = Field(description="The job as it stands now, as one line of JSON.")


class JobPage(BaseModel):
    """Jobs, newest first."""

    items: list[JobBody]


class WarningBody(BaseModel):
    """What is odd about an item."""

    code: str = Field(description="Constant for each kind of oddity, as `profile_ignored`.")
    detail: str
    field: str | None = Field(description="The column or field that it is about.")


class OutcomeBody(BaseModel):
    """What became of one item."""

    item_no: int
    filename: str
    status: ItemStatus
    image_id: ImageId | None
    reason: str | None
    stage: str | None = Field(description="Of a failed item: the step that failed.")
    error: str | None = Field(description="Of a failed item: the class of the error.")
    attempts: int
    warnings: list[WarningBody] = Field(description="What is odd about a photo that was taken.")


class OutcomePage(BaseModel):
    """Outcomes in order; `next_cursor` asks for the rest."""

    items: list[OutcomeBody]
    next_cursor: str | None

    @classmethod
    def of(cls, outcomes: Sequence[Outcome], next_cursor: str | None) -> Self:
        """From outcomes."""
        items = [
            OutcomeBody(
                item_no=o.item_no,
                filename=o.filename,
                status=o.status,
                image_id=o.image_id,
                reason=o.reason,
                stage=o.stage,
                error=o.error,
                attempts=o.attempts,
                warnings=[WarningBody(**asdict(warning)) for warning in o.warnings],
            )
            for o in outcomes
        ]
        return cls(items=items, next_cursor=next_cursor)


class OpenJob(StrictModel):
    """Opens a job: for photos that are added to it, or for a source that the server reads."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"source": "holiday photos", "expected": 120},
                {"source": "holiday photos", "on_duplicate": "replace"},
            ]
        },
    )

    source: Annotated[
        Annotated[ShortText, Tag("text")] | Annotated[SourceSpec, Tag("object")],
        Discriminator(lambda given: "text" if isinstance(given, str) else "object"),
        Field(description="A name for photos that you add, or what the server is to read."),
    ] = "upload"
    expected: Annotated[Count, Field(ge=0, le=_MOST_ITEMS)] | None = None
    on_duplicate: Annotated[OnDuplicate, Field(description=ON_DUPLICATE)] = OnDuplicate.MERGE
    exif_dates: bool = Field(default=True, strict=True, description=EXIF_DATES)
    gps: bool = Field(default=False, strict=True, description=GPS)


class KnownPhoto(StrictModel):
    """A photo that the client has, by the SHA-256 of its bytes."""

    sha256: Sha256
    metadata: PhotoMetadata = PhotoMetadata()


class KnownPhotos(StrictModel):
    """Which of these are here already?"""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"items": [{"sha256": "0" * 64, "metadata": {"breed": "beagle"}}]}]
        },
    )

    items: Annotated[list[KnownPhoto], Field(max_length=64)]


class MissingPhotos(BaseModel):
    """Positions in the request of the photos that have to be uploaded."""

    missing: list[int]


class EventsTicket(BaseModel):
    """What opens the events of one job."""

    ticket: str
    url: str = Field(description="of the events, with the ticket, for `new EventSource(url)`")
    expires_in_s: float
