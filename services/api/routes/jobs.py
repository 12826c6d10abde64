"""Jobs: open one, add photos, see what became of every item, and change its course."""

from typing import Annotated, Literal

from fastapi import File, Form, Query, Request, Response, UploadFile

from petsearch.domain import ItemStatus, JobOptions
from petsearch.domain.api_keys import Scope
from petsearch.domain.metadata import Count, naming_fields
from petsearch.domain.strict_model import StrictModel, read_json
from petsearch.jobs import KnownImage
from petsearch.sources.spec import ManifestColumns, reads_hub
from services.api.authorisation import require_scope
from services.api.callers import caller_of
from services.api.cursors import seal, unseal
from services.api.dependencies import (
    MAX_RESULTS,
    Cursor,
    JobIdDep,
    ServicesDep,
)
from services.api.idempotency import OnceDep
from services.api.responses import errors
from services.api.router import Router
from services.api.routes.job_form import JobFormDep
from services.api.routes.photo_fields import DescriptionsDep
from services.api.routes.uploads import Photos, check_count, read_uploads
from services.api.schemas.jobs import (
    JobBody,
    JobPage,
    KnownPhotos,
    MissingPhotos,
    OpenJob,
    OutcomePage,
)
from services.http.forms import FormRoute
from services.http.forwarded import public_path

router = Router(prefix="/v1/jobs", tags=["jobs"], route_class=FormRoute)

_MAX_OUTCOMES = 1000
ColumnsField = Annotated[
    str | None,
    Form(
        description="JSON: the field that each column of a manifest holds; null leaves it out.",
        examples=['{"Bild": "path", "Tier": "animal_id", "Notiz": null}'],
    ),
]


class _Columns(StrictModel):
    columns: ManifestColumns


@router.post(
    "", status_code=202, summary="Open a job", responses=errors(404, 409, writes=True, body=True)
)
def open_job(
    services: ServicesDep,
    once: OnceDep,
    request: Request,
    response: Response,
    body: OpenJob,
) -> JobBody:
    """A job that photos are added to until it is sealed, or one that reads a source by itself.

    What a server may read is set by whoever runs it; a source that it may not is refused here.
    Data sets of the hub, which a name alone brings in, take the scope admin.
    """
    options = JobOptions(
        expected=body.expected,
        on_duplicate=body.on_duplicate,
        exif_dates=body.exif_dates,
        gps=body.gps,
        sees_places=caller_of(request).sees_places,
    )
    if not isinstance(body.source, str) and reads_hub(body.source):
        require_scope(request, Scope.ADMIN)

    def start() -> JobBody:
        if isinstance(body.source, str):
            return JobBody.of(services.jobs.open(body.source, options))
        return JobBody.of(services.jobs.read(body.source, options))

    job = once.run(start, body.model_dump_json())
    response.headers["Location"] = public_path(f"/v1/jobs/{job.job_id}")
    return job


@router.post(
    "/upload",
    status_code=202,
    summary="Upload an archive or a manifest",
    responses=errors(404, 409, writes=True, body=True),
)
def upload_source(
    services: ServicesDep,
    once: OnceDep,
    response: Response,
    file: Annotated[UploadFile, File(description="A zip or tar of photos, or a CSV, JSONL, XLSX.")],
    options: JobFormDep,
    kind: Annotated[Literal["archive", "manifest"], Form()] = "archive",
    columns: ColumnsField = None,
) -> JobBody:
    """A job that reads the file; what it names or holds is ingested."""
    name = file.filename or kind
    with naming_fields():
        mapped = _Columns(columns=read_json(columns, "columns")).columns if columns else {}

    def start() -> JobBody:
        upload = services.jobs.read_upload(kind, name, file.file, file.size, options, mapped)
        return JobBody.of(upload)

    job = once.run(start, kind, options, columns, files=[file])
    response.headers["Location"] = public_path(f"/v1/jobs/{job.job_id}")
    return job


@router.get("", summary="List jobs", responses=errors())
def list_jobs(
    services: ServicesDep, limit: Annotated[Count, Query(ge=1, le=MAX_RESULTS)] = 20
) -> JobPage:
    """Jobs, newest first."""
    return JobPage(items=[JobBody.of(job) for job in services.jobs.newest(limit)])


@router.get("/{job_id}", summary="One job", responses=errors(404))
def get_job(services: ServicesDep, job_id: JobIdDep) -> JobBody:
    """Where a job stands."""
    return JobBody.of(services.jobs.get(job_id))


@router.delete(
    "/{job_id}",
    status_code=204,
    summary="Forget an ended job",
    responses=errors(404, 409, writes=True),
)
def delete_job(services: ServicesDep, job_id: JobIdDep) -> None:
    """Its images stay. A job that has not ended is a conflict: cancel it first."""
    services.jobs.delete(job_id)


@router.post(
    "/{job_id}/photos",
    status_code=202,
    summary="Add photos to a job",
    responses=errors(404, 409, writes=True, body=True),
)
def add_photos(
    services: ServicesDep,
    job_id: JobIdDep,
    once: OnceDep,
    photos: Photos,
    said: DescriptionsDep,
) -> JobBody:
    """Add 1 to 64 photos to an open job."""
    entries = said.of_each(len(photos))
    check_count(photos, services.settings.limits.photos_per_request)
    uploads = read_uploads(photos, entries, services.settings.limits.image_bytes)
    call = once.call(said, files=photos)
    return JobBody.of(services.jobs.add_photos(job_id, uploads, len(photos), call=call))


@router.post(
    "/{job_id}/known",
    summary="Ask which photos are here already",
    responses=errors(404, 409, writes=True, body=True),
)
def add_known(
    services: ServicesDep, job_id: JobIdDep, once: OnceDep, body: KnownPhotos
) -> MissingPhotos:
    """Account the photos that are here already; the answer says which have to be uploaded."""
    images = [
        KnownImage(item.sha256, item.metadata.to_domain(item.metadata.filename or ""))
        for item in body.items
    ]
    call = once.call(body.model_dump_json())
    return MissingPhotos(missing=services.jobs.add_known(job_id, images, call=call))


@router.post(
    "/{job_id}/seal", summary="Close a job for more photos", responses=errors(404, 409, writes=True)
)
def seal_job(services: ServicesDep, job_id: JobIdDep) -> JobBody:
    """No more photos: the job ends when all are accounted."""
    return JobBody.of(services.jobs.seal(job_id))


@router.post(
    "/{job_id}/pause", summary="Stop a job for a while", responses=errors(404, 409, writes=True)
)
def pause_job(services: ServicesDep, job_id: JobIdDep) -> JobBody:
    """Nothing more is ingested until it is resumed."""
    return JobBody.of(services.jobs.pause(job_id))


@router.post(
    "/{job_id}/resume", summary="Go on with a paused job", responses=errors(404, 409, writes=True)
)
def resume_job(services: ServicesDep, job_id: JobIdDep) -> JobBody:
    """It goes on where it stood."""
    return JobBody.of(services.jobs.resume(job_id))


@router.post("/{job_id}/cancel", summary="End a job", responses=errors(404, 409, writes=True))
def cancel_job(services: ServicesDep, job_id: JobIdDep) -> JobBody:
    """What was ingested stays; the rest is dropped."""
    return JobBody.of(services.jobs.cancel(job_id))


@router.post(
    "/{job_id}/retry",
    status_code=202,
    summary="Try failed photos again",
    responses=errors(404, 409, writes=True),
)
def retry_job(services: ServicesDep, job_id: JobIdDep) -> JobBody:
    """The failed photos of an ended job; refused ones would be refused again."""
    return JobBody.of(services.jobs.retry(job_id))


@router.get("/{job_id}/items", summary="What became of every photo", responses=errors(404))
def list_items(
    services: ServicesDep,
    job_id: JobIdDep,
    status: ItemStatus | None = None,
    warned: Annotated[
        bool | None, Query(description="true: with warnings only; false: without")
    ] = None,
    limit: Annotated[Count, Query(ge=1, le=_MAX_OUTCOMES)] = 100,
    cursor: Cursor | None = None,
) -> OutcomePage:
    """Outcomes in order of their chunks, of one status or with warnings if asked."""
    walk = (job_id, status, warned)
    place = unseal(cursor, *walk)
    page = services.jobs.outcomes(job_id, status, warned=warned, cursor=place, limit=limit)
    return OutcomePage.of(page.outcomes, seal(page.next_cursor, *walk))
