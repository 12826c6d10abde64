"""Jobs: open one, add photos, seal it, and see what became of every item."""

from itertools import islice
from typing import Annotated

from fastapi import APIRouter, Query, Response

from petsearch.errors import InvalidInput
from petsearch.jobs import KnownImage
from petsearch.model import ItemStatus
from services.api.dependencies import MAX_RESULTS, IdempotencyKey, ServicesDep
from services.api.routes.images import MetadataField, Photos, check_count, read_uploads
from services.api.schemas import (
    JobBody,
    JobPage,
    KnownPhotos,
    MissingPhotos,
    OpenJob,
    OutcomePage,
    parse_metadata,
)

router = APIRouter(prefix="/v1/jobs", tags=["jobs"])

_MAX_OUTCOMES = 1000


@router.post("", status_code=202, summary="Open a job")
def open_job(services: ServicesDep, response: Response, body: OpenJob) -> JobBody:
    """A job that photos are added to in as many requests as it takes, until it is sealed."""
    job = services.jobs.open(body.source, expected=body.expected)
    response.headers["Location"] = f"/v1/jobs/{job.job_id}"
    return JobBody.of(job)


@router.get("", summary="List jobs")
def list_jobs(
    services: ServicesDep, limit: Annotated[int, Query(ge=1, le=MAX_RESULTS)] = 20
) -> JobPage:
    """Jobs, newest first."""
    return JobPage(items=[JobBody.of(job) for job in services.jobs.newest(limit)])


@router.get("/{job_id}", summary="One job")
def get_job(services: ServicesDep, job_id: str) -> JobBody:
    """Where a job stands."""
    return JobBody.of(services.jobs.get(job_id))


@router.post("/{job_id}/photos", status_code=202, summary="Add photos to a job")
def add_photos(
    services: ServicesDep,
    job_id: str,
    photos: Photos,
    metadata: MetadataField = None,
    key: IdempotencyKey = None,
) -> JobBody:
    """Add 1 to 64 photos to an open job."""
    entries = parse_metadata(metadata, len(photos))
    check_count(photos, services.settings.limits.photos_per_request)
    uploads = read_uploads(photos, entries, services.image_limits.max_bytes)
    return JobBody.of(services.jobs.add_photos(job_id, uploads, len(photos), key=key))


@router.post("/{job_id}/known", summary="Ask which photos are here already")
def add_known(
    services: ServicesDep, job_id: str, body: KnownPhotos, key: IdempotencyKey = None
) -> MissingPhotos:
    """Account the photos that are here already; the answer says which have to be uploaded."""
    images = [
        KnownImage(item.sha256, item.metadata.to_domain(item.metadata.filename or ""))
        for item in body.items
    ]
    return MissingPhotos(missing=services.jobs.add_known(job_id, images, key=key))


@router.post("/{job_id}/seal", summary="Close a job for more photos")
def seal_job(services: ServicesDep, job_id: str) -> JobBody:
    """No more photos: the job ends when all are accounted."""
    return JobBody.of(services.jobs.seal(job_id))


@router.get("/{job_id}/items", summary="What became of every photo")
def list_items(
    services: ServicesDep,
    job_id: str,
    status: ItemStatus | None = None,
    limit: Annotated[int, Query(ge=1, le=_MAX_OUTCOMES)] = 100,
    cursor: Annotated[str | None, Query(max_length=20)] = None,
) -> OutcomePage:
    """Outcomes in order of their chunks, of one status if asked."""
    start = _read_cursor(cursor)
    page = list(islice(services.jobs.outcomes(job_id, status), start, start + limit + 1))
    more = str(start + limit) if len(page) > limit else None
    return OutcomePage.of(page[:limit], more)


def _read_cursor(cursor: str | None) -> int:
    if cursor is None:
        return 0
    if not (cursor.isascii() and cursor.isdigit()):
        raise InvalidInput("The cursor is not one this server gave out; start without a cursor.")
    return int(cursor)
