"""Images: upload, list, one image, and its public copies."""

from collections.abc import Iterator, Sequence
from typing import Annotated

from fastapi import APIRouter, File, Form, Query, Request, Response, UploadFile
from fastapi.responses import FileResponse, StreamingResponse

from petsearch import object_keys
from petsearch.deleting import delete_images
from petsearch.errors import InvalidInput
from petsearch.jobs import JobOptions, Upload
from petsearch.model import OnDuplicate, QueueName, SortBy
from petsearch.photo_metadata import PhotoMetadata
from petsearch.ports import ObjectStore
from services.api.dependencies import MAX_CURSOR, MAX_RESULTS, ImageIdDep, ServicesDep
from services.api.filter_parameters import FiltersDep
from services.api.schemas import ImageBody, ImagePage, parse_metadata
from services.api.schemas_jobs import JobBody

router = APIRouter(prefix="/v1/images", tags=["images"])

Photos = Annotated[list[UploadFile], File(description="Pictures, at most 64 in a request.")]
MetadataField = Annotated[
    str | None,
    Form(description="JSON: one object for all photos, or a list with one for each."),
]
_CACHE_CONTROL = "public, max-age=86400"
_READ_BYTES = 256 * 1024


@router.post("", status_code=202, summary="Upload photos")
def upload_images(
    services: ServicesDep,
    response: Response,
    photos: Photos,
    metadata: MetadataField = None,
    on_duplicate: Annotated[OnDuplicate, Form()] = OnDuplicate.MERGE,
) -> JobBody:
    """Take in 1 to 64 photos. The answer is the job that says what becomes of each."""
    entries = parse_metadata(metadata, len(photos))
    check_count(photos, services.settings.limits.photos_per_request)
    options = JobOptions(QueueName.INTERACTIVE, len(photos), on_duplicate=on_duplicate)
    job_id = services.jobs.open("upload", options).job_id
    uploads = read_uploads(photos, entries, services.image_limits.max_bytes)
    services.jobs.add_photos(job_id, uploads, len(photos))
    job = services.jobs.seal(job_id)
    response.headers["Location"] = f"/v1/jobs/{job_id}"
    return JobBody.of(job)


@router.get("", summary="List images")
def list_images(
    services: ServicesDep,
    filters: FiltersDep,
    limit: Annotated[int, Query(ge=1, le=MAX_RESULTS)] = 20,
    cursor: Annotated[str | None, Query(max_length=MAX_CURSOR)] = None,
    sort: Annotated[
        SortBy, Query(description="taken_at leaves out photos that do not say it")
    ] = "created_at",
) -> ImagePage:
    """Images without a query, newest first."""
    records, next_cursor = services.searcher.newest(limit, filters, cursor, sort)
    return ImagePage(items=[ImageBody.of(record) for record in records], next_cursor=next_cursor)


@router.get("/{image_id}", summary="One image")
def get_image(services: ServicesDep, image_id: ImageIdDep) -> ImageBody:
    """What is known about an image."""
    return ImageBody.of(services.searcher.get(image_id))


@router.delete("/{image_id}", status_code=204, summary="Delete an image")
def delete_image(services: ServicesDep, image_id: ImageIdDep) -> None:
    """Its record, its embedding, its original and its copies. What is not there is not found."""
    services.searcher.get(image_id)
    collection = services.catalogue.current().collection
    delete_images(services.index, services.store, collection, [image_id])


@router.get("/{image_id}/display", summary="Display copy", response_class=Response)
def get_display(services: ServicesDep, request: Request, image_id: ImageIdDep) -> Response:
    """JPEG of at most 1600 pixels a side, without metadata."""
    return picture(services.store, request, object_keys.display(image_id))


@router.get("/{image_id}/thumbnail", summary="Thumbnail", response_class=Response)
def get_thumbnail(services: ServicesDep, request: Request, image_id: ImageIdDep) -> Response:
    """JPEG of at most 320 pixels a side, without metadata."""
    return picture(services.store, request, object_keys.thumbnail(image_id))


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


def picture(store: ObjectStore, request: Request, key: str) -> Response:
    """A public copy with caching headers. Copies never change: their id is their content."""
    etag = f'"{key}"'
    headers = {"Cache-Control": _CACHE_CONTROL, "ETag": etag}
    if etag in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    path = store.local_path(key)
    if path is not None:
        return FileResponse(path, headers=headers, media_type="image/jpeg")
    file = store.open(key)

    def blocks() -> Iterator[bytes]:
        with file:
            while block := file.read(_READ_BYTES):
                yield block

    return StreamingResponse(blocks(), headers=headers, media_type="image/jpeg")
