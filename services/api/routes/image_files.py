"""The bytes of images: their public copies, and the originals."""

import re
from urllib.parse import quote

from fastapi import Request, Response

from petsearch.catalogue import ImageFile
from petsearch.domain import ImageRecord, object_keys
from services.api.dependencies import ImageIdDep, ServicesDep
from services.api.responses import Responses, errors
from services.api.router import Router
from services.api.stored_bytes import stored_bytes

router = Router(prefix="/v1/images/{image_id}", tags=["images"])

_JPEG = "image/jpeg"
_NOT_PLAIN = re.compile(r"[^A-Za-z0-9 ._()+-]")
_DAY = "public, max-age=86400"
_PRIVATE = "private, max-age=0, must-revalidate"


def _answers(media_type: str) -> Responses:
    content = {media_type: {"schema": {"type": "string", "format": "binary"}}}
    return {
        200: {"content": content},
        206: {"description": "The range that was asked for.", "content": content},
        304: {"description": "Not Modified."},
        **errors(404, 416),
    }


PUBLIC_COPY = _answers(_JPEG)
"""What a display copy or thumbnail may be answered with."""


@router.get("/display", summary="Display copy", response_class=Response, responses=PUBLIC_COPY)
def get_display(services: ServicesDep, request: Request, image_id: ImageIdDep) -> Response:
    """JPEG of at most 1600 pixels a side, without metadata."""
    return public_copy(services.images.file(object_keys.display(image_id)), request)


@router.get("/thumbnail", summary="Thumbnail", response_class=Response, responses=PUBLIC_COPY)
def get_thumbnail(services: ServicesDep, request: Request, image_id: ImageIdDep) -> Response:
    """JPEG of at most 320 pixels a side, without metadata."""
    return public_copy(services.images.file(object_keys.thumbnail(image_id)), request)


@router.get("/original", summary="Original", response_class=Response, responses=_answers("image/*"))
def get_original(services: ServicesDep, request: Request, image_id: ImageIdDep) -> Response:
    """The bytes as they were received, with all that cameras write into them, as a download."""
    record = services.images.get(image_id)
    headers = {"Cache-Control": _PRIVATE, "Content-Disposition": _download_of(record)}
    file = services.images.file(object_keys.original(image_id))
    return stored_bytes(file, request, headers, record.content_type)


def public_copy(file: ImageFile, request: Request) -> Response:
    """A display copy or thumbnail, to be cached by anybody."""
    return stored_bytes(file, request, {"Cache-Control": _DAY}, _JPEG)


def _download_of(record: ImageRecord) -> str:
    """Under its own name, in both ways of RFC 6266: `curl -J` and others know only the older."""
    name = record.metadata.filename or record.image_id
    coded = quote(name, safe="", errors="replace")
    return f"attachment; filename=\"{_NOT_PLAIN.sub('_', name)}\"; filename*=UTF-8''{coded}"
