"""Images: list, read, change and delete what is indexed."""

from dataclasses import replace
from functools import partial
from typing import Annotated

from fastapi import Body, Header, Query, Response

from petsearch.domain import ImageRecord, SortBy
from petsearch.domain.metadata import Count, ShortText
from services.api.conditions import check_if_match, etag_of, is_named
from services.api.cursors import seal, unseal
from services.api.dependencies import MAX_RESULTS, Cursor, ImageIdDep, ServicesDep, ViewDep
from services.api.filter_parameters import FiltersDep
from services.api.responses import Responses, errors
from services.api.router import Router
from services.api.schemas.common import ImageBody, ImageInList, ImagePage, ImageWithPath, View
from services.api.schemas.images import DeletedImages, IdPrefix, ImageIds, ImagePatch

router = Router(prefix="/v1/images", tags=["images"])

_MOST_IDS = 10
_MOST_DELETED = 200
"""In one call, which takes some seconds then."""
_ETAG = {"ETag": {"schema": {"type": "string"}, "description": "of this state"}}
_SHOWN = (".paths", ".places")
"""Suffixes of ETags: one answer shows more than another of the same state."""
IfMatch = Annotated[str | None, Header(description="ETag of the state you saw")]
_CHANGED: Responses = {200: {"headers": _ETAG}}
_READ: Responses = {**_CHANGED, 304: {"description": "Not Modified.", "headers": _ETAG}}


@router.get("", summary="List images", responses=errors(409))
def list_images(
    services: ServicesDep,
    view: ViewDep,
    filters: FiltersDep,
    limit: Annotated[Count, Query(ge=1, le=MAX_RESULTS)] = 20,
    cursor: Cursor | None = None,
    sort: Annotated[
        SortBy, Query(description="taken_at leaves out photos that do not say it")
    ] = "created_at",
) -> ImagePage:
    """Images without a query, newest first."""
    images = services.images
    records, following = images.newest(limit, filters, unseal(cursor, sort, filters), sort)
    return ImagePage(
        items=[ImageInList.of(one, view.around(filters)) for one in records],
        next_cursor=seal(following, sort, filters),
        predictions_calibrated=images.is_calibrated(filters),
        unknown=list(images.unknown_names(filters)),
    )


@router.delete("", summary="Delete an animal's images", responses=errors(writes=True))
def delete_images_by_animal(
    services: ServicesDep,
    animal_id: Annotated[ShortText, Query(min_length=1, examples=["shelter-17"])],
) -> DeletedImages:
    """The newest 200 at most; call it again while some are `remaining`."""
    deleted = services.images.delete_of_animal(animal_id, limit=_MOST_DELETED)
    return DeletedImages(deleted=deleted.count, remaining=deleted.remaining)


@router.get("/ids", summary="Ids that begin with a prefix", responses=errors(409))
def list_image_ids(
    services: ServicesDep,
    prefix: Annotated[IdPrefix, Query(examples=["3f2a91bc"])],
) -> ImageIds:
    """The first 10 in their order: what a shortened id may stand for."""
    return ImageIds(items=services.images.ids_that_begin(prefix, limit=_MOST_IDS))


@router.get(
    "/{image_id}", summary="One image", response_model=ImageWithPath, responses=_READ | errors(404)
)
def get_image(
    services: ServicesDep,
    response: Response,
    view: ViewDep,
    image_id: ImageIdDep,
    if_none_match: Annotated[str | None, Header()] = None,
) -> ImageWithPath | Response:
    """What is known about an image. Its ETag goes into `If-Match` of a change."""
    record = services.images.get(image_id)
    etag = image_etag(record, view)
    if if_none_match is not None and is_named(if_none_match, etag):
        return Response(status_code=304, headers={"ETag": etag})
    response.headers["ETag"] = etag
    return ImageWithPath.of(record, view)


@router.patch(
    "/{image_id}",
    summary="Change what is said about an image",
    responses=_CHANGED | errors(404, 409, 412, writes=True, body=True),
)
def patch_image(
    services: ServicesDep,
    view: ViewDep,
    response: Response,
    image_id: ImageIdDep,
    patch: Annotated[ImagePatch, Body(media_type="application/merge-patch+json")],
    if_match: IfMatch = None,
) -> ImageWithPath:
    """A JSON merge patch: what is left out stays, null clears. `application/json` will do, too."""
    changes = patch.model_dump(mode="json", exclude_unset=True)
    check = partial(_check_state, if_match, view)
    record = services.images.amend(image_id, changes, check, sees_places=view.sees_places)
    response.headers["ETag"] = image_etag(record, view)
    return ImageWithPath.of(record, view)


@router.delete(
    "/{image_id}",
    status_code=204,
    summary="Delete an image",
    responses=errors(404, 412, writes=True),
)
def delete_image(
    services: ServicesDep,
    view: ViewDep,
    image_id: ImageIdDep,
    if_match: IfMatch = None,
) -> None:
    """Its record, its embedding, its original and its copies. What is not there is not found."""
    services.images.delete(image_id, partial(_check_state, if_match, view))


def _check_state(if_match: str | None, view: View, record: ImageRecord) -> None:
    check_if_match(if_match and _without_view(if_match), _state_etag(record, view))


def image_etag(record: ImageRecord, view: View) -> str:
    """The tag of the state, and what `view` shows of it beyond what everybody sees."""
    shown = (view.is_known, view.sees_places)
    suffix = "".join(name for name, is_shown in zip(_SHOWN, shown, strict=True) if is_shown)
    return f'{_state_etag(record, view)[:-1]}{suffix}"'


def _without_view(header: str) -> str:
    for name in _SHOWN:
        header = header.replace(name, "")
    return header


def _state_etag(record: ImageRecord, view: View) -> str:
    """The same for all callers, and no trace of a place that not all of them see.

    A change of the place alone is one of `updated_at`, too.
    """
    return etag_of(ImageBody.of(record, replace(view, sees_places=False)))
