"""Searches by photo that are shared for a day."""

from datetime import datetime
from http import HTTPStatus
from typing import Annotated

from fastapi import Depends, File, HTTPException, Query, Request, Response, UploadFile

from petsearch.domain.api_keys import Scope
from services.api.callers import caller_of
from services.api.dependencies import ServicesDep
from services.api.responses import errors
from services.api.router import Router
from services.api.schemas.shared import MadeShare, SharedSearchBody
from services.http.forms import FormRoute
from services.http.forwarded import public_path

_UNLISTED = {"X-Robots-Tag": "noindex", "Cache-Control": "no-store"}
_JPEG = "image/jpeg"


async def _unlisted(response: Response) -> None:
    response.headers.update(_UNLISTED)


router = Router(
    prefix="/v1/shared-searches",
    tags=["search"],
    route_class=FormRoute,
    dependencies=[Depends(_unlisted)],
)


@router.post(
    "",
    status_code=201,
    summary="Share a search by photo",
    responses=errors(409, writes=True, body=True),
)
def share_search(
    services: ServicesDep,
    request: Request,
    photo: Annotated[UploadFile, File(description="A picture, at most 50 MB.")],
) -> MadeShare:
    """Keep the photo's embedding and a copy of at most 800 pixels a side for 24 hours.

    The copy has no metadata, and nothing else is kept. `shared` of `POST /v1/search` searches with
    it, beside words and filters of the caller's own.
    """
    caller = caller_of(request)
    data = photo.file.read(services.settings.limits.image_bytes + 1)
    made = services.shared.share(data, caller.counted_as)
    return MadeShare(
        **_body(made.share_id, made.expires_at).model_dump(),
        url=public_path(f"/?shared={made.share_id}"),
        delete_token=made.delete_token,
    )


@router.get("/{share_id}", summary="A shared search", responses=errors(404))
def get_shared_search(services: ServicesDep, share_id: str) -> SharedSearchBody:
    """When it expires, and where its photo is."""
    return _body(share_id, services.shared.get(share_id).expires_at)


@router.get(
    "/{share_id}/photo",
    summary="Photo of a shared search",
    response_class=Response,
    responses={
        200: {"content": {_JPEG: {"schema": {"type": "string", "format": "binary"}}}},
        **errors(404),
    },
)
def get_shared_photo(services: ServicesDep, share_id: str) -> Response:
    """JPEG of at most 800 pixels a side, without metadata."""
    return Response(services.shared.get(share_id).photo, media_type=_JPEG, headers=_UNLISTED)


@router.delete(
    "/{share_id}",
    status_code=204,
    summary="Delete a shared search",
    responses=errors(404, writes=True),
)
def delete_shared_search(
    services: ServicesDep,
    request: Request,
    share_id: str,
    token: Annotated[
        str | None,
        Query(max_length=64, description="The delete_token; the scope admin needs none."),
    ] = None,
) -> None:
    """Embedding and copy are gone before the response."""
    caller = caller_of(request)
    if not caller.allows(Scope.ADMIN) and not services.shared.is_token(share_id, token or ""):
        detail = "This takes the token that came with the shared search, or the scope admin."
        raise HTTPException(HTTPStatus.FORBIDDEN, detail)
    services.shared.delete(share_id)


def _body(share_id: str, expires_at: datetime) -> SharedSearchBody:
    photo = public_path(f"/v1/shared-searches/{share_id}/photo")
    return SharedSearchBody(share_id=share_id, expires_at=expires_at, photo=photo)
