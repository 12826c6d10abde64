"""The two calls of the script this project grew from, as thin routes over today's search."""

from typing import Annotated

from fastapi import Query, Request, Response

from petsearch.domain import object_keys
from petsearch.search import SearchOptions
from services.api.dependencies import QueryText, ServicesDep
from services.api.responses import errors
from services.api.router import Router
from services.api.routes.image_files import PUBLIC_COPY, public_copy
from services.api.schemas.common import AncestorAnswer, AncestorHit
from services.http.forwarded import public_path

router = Router(tags=["ancestor"])

_TOP = 5


@router.get("/search", summary="The best five for a prompt", responses=errors(409, 413))
def search_prompt(
    services: ServicesDep, prompt: Annotated[QueryText, Query(examples=["bulldog"])]
) -> AncestorAnswer:
    """Top 5, as in `/search?prompt=bulldog`. New clients use `/v1/search`."""
    result = services.search.by_text(prompt, SearchOptions(limit=_TOP))
    hits = [
        AncestorHit(
            filename=hit.record.metadata.filename,
            score=round(hit.score, 6),
            breed=hit.record.breed,
            url=public_path(f"/v1/images/{hit.record.image_id}/display"),
        )
        for hit in result.hits
    ]
    return AncestorAnswer(prompt=prompt, results=hits)


@router.get(
    "/images/{filename:path}",
    summary="A photo by its file name",
    response_class=Response,
    responses=PUBLIC_COPY,
)
def get_file(services: ServicesDep, request: Request, filename: str) -> Response:
    """The display copy of the newest image of that name."""
    record = services.images.find_by_name(filename)
    return public_copy(services.images.file(object_keys.display(record.image_id)), request)
