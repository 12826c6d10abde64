"""Uploads: photos that a request brings."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Annotated

from fastapi import File, Response, UploadFile

from petsearch.domain import QueueName
from petsearch.domain.errors import InvalidInput
from petsearch.domain.metadata import PhotoMetadata
from petsearch.jobs import Upload
from services.api.dependencies import ServicesDep
from services.api.idempotency import OnceDep
from services.api.responses import errors
from services.api.router import Router
from services.api.routes.job_form import JobFormDep
from services.api.routes.photo_fields import DescriptionsDep
from services.api.schemas.jobs import JobBody
from services.http.forms import FormRoute
from services.http.forwarded import public_path

router = Router(prefix="/v1/images", tags=["images"], route_class=FormRoute)

Photos = Annotated[
    list[UploadFile], File(min_length=1, description="Pictures, at most 64 in a request.")
]


@router.post(
    "", status_code=202, summary="Upload photos", responses=errors(409, writes=True, body=True)
)
def upload_images(
    services: ServicesDep,
    once: OnceDep,
    response: Response,
    photos: Photos,
    said: DescriptionsDep,
    options: JobFormDep,
) -> JobBody:
    """Take in 1 to 64 photos. The answer is the job that says what becomes of each.

    The plain fields are true of all photos; `metadata` can say more, and of each photo its own.
    """
    entries = said.of_each(len(photos))
    check_count(photos, services.settings.limits.photos_per_request)

    def take_in() -> JobBody:
        interactive = replace(options, queue=QueueName.INTERACTIVE, expected=len(photos))
        uploads = read_uploads(photos, entries, services.settings.limits.image_bytes)
        return JobBody.of(services.jobs.take_in("upload", uploads, len(photos), interactive))

    job = once.run(take_in, said, options, files=photos)
    response.headers["Location"] = public_path(f"/v1/jobs/{job.job_id}")
    return job


def check_count(photos: Sequence[UploadFile], most: int) -> None:
    """Refuse a request with more photos than a chunk holds."""
    if len(photos) > most:
        raise InvalidInput(f"The request has {len(photos)} photos; send at most {most} at a time.")


def read_uploads(
    photos: Sequence[UploadFile], entries: Sequence[PhotoMetadata], max_bytes: int
) -> Iterator[Upload]:
    """The bytes of each photo, one at a time; one that is too large is named, not kept."""
    for photo, entry in zip(photos, entries, strict=True):
        metadata = entry.to_domain(photo.filename or "")
        if photo.size is not None and photo.size > max_bytes:
            reason = (
                f"The file has {photo.size / 1e6:.1f} MB; "
                f"at most {max_bytes / 1e6:.0f} MB are accepted."
            )
            yield Upload(b"", metadata, refusal=reason)
        else:
            yield Upload(photo.file.read(), metadata)
