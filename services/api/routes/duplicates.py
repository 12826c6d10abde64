"""Duplicates: the same file, the same photo, similar photos."""

from dataclasses import replace
from typing import Annotated

from fastapi import Query

from petsearch.catalogue import Tier
from petsearch.catalogue.duplicates import SIMILAR_SCORE
from petsearch.domain.errors import InvalidInput
from petsearch.domain.metadata import Count, Number
from services.api.cursors import seal, unseal
from services.api.dependencies import MAX_RESULTS, Cursor, ImageIdDep, ServicesDep, ViewDep
from services.api.responses import errors
from services.api.router import Router
from services.api.schemas.duplicates import Copies, DuplicateBody, DuplicatePage

router = Router(prefix="/v1", tags=["images"])


@router.get("/duplicates", summary="Find duplicates", responses=errors())
def list_duplicates(
    services: ServicesDep,
    view: ViewDep,
    tier: Annotated[
        Tier,
        Query(
            description="exact: the same bytes came more than once; repeats in a job with "
            "`on_duplicate=keep` are not recorded, so they do not count. same_photo: resized or "
            "recompressed. similar: near for the model, and not the same photo."
        ),
    ],
    limit: Annotated[Count, Query(ge=1, le=MAX_RESULTS)] = 20,
    cursor: Cursor | None = None,
    min_score: Annotated[
        Number | None, Query(ge=0.0, le=1.0, description="Least cosine, in the tier similar.")
    ] = None,
) -> DuplicatePage:
    """Groups of images that are alike; each is told once, where its newest image is met."""
    if min_score is not None and tier is not Tier.SIMILAR:
        raise InvalidInput(f"min_score is for the tier similar; {tier} knows no score.")
    least = SIMILAR_SCORE if min_score is None else min_score
    walk = (tier, least)
    page = services.images.duplicates(
        tier, limit=limit, cursor=unseal(cursor, *walk), min_score=least
    )
    return DuplicatePage.of(replace(page, next_cursor=seal(page.next_cursor, *walk)), view)


@router.get(
    "/images/{image_id}/duplicates", summary="Copies of an image", responses=errors(404, 409)
)
def list_copies(services: ServicesDep, view: ViewDep, image_id: ImageIdDep) -> Copies:
    """Other images that show the same photo, resized or recompressed."""
    images = services.images
    return Copies(items=[DuplicateBody.of(r, view) for r in images.copies(image_id)])
