"""Search: by words, by photo, by an indexed photo."""

import time
from typing import Annotated, Literal

from fastapi import APIRouter, File, Form, Query, UploadFile

from petsearch.model import Filters
from petsearch.search import SearchOptions
from services.api.dependencies import MAX_RESULTS, ImageIdDep, SearchOptionsDep, ServicesDep
from services.api.schemas import SearchAnswer

router = APIRouter(prefix="/v1", tags=["search"])


@router.get("/search", summary="Search by words")
def search_by_text(
    services: ServicesDep,
    options: SearchOptionsDep,
    q: Annotated[
        str, Query(description="What the photo shows.", examples=["grey long-haired cat"])
    ],
    prompt: Annotated[
        Literal["auto", "raw"], Query(description="raw: no prompt template")
    ] = "auto",
) -> SearchAnswer:
    """Photos that show what `q` says, best first."""
    started = time.perf_counter()
    result = services.searcher.by_text(q, options, prompt=prompt)
    return SearchAnswer.of(result, _since_ms(started))


@router.post("/search/image", summary="Search by photo")
def search_by_photo(
    services: ServicesDep,
    photo: Annotated[UploadFile, File(description="A picture, at most 50 MB.")],
    limit: Annotated[int, Form(ge=1, le=MAX_RESULTS)] = 20,
    species: Annotated[str | None, Form(max_length=200)] = None,
    breed: Annotated[str | None, Form(max_length=200)] = None,
    min_score: Annotated[float | None, Form(ge=-1.0, le=1.0)] = None,
) -> SearchAnswer:
    """Photos that look like the one sent. It is not kept."""
    started = time.perf_counter()
    filters = Filters(species=species or None, breed=breed or None)
    data = photo.file.read(services.image_limits.max_bytes + 1)
    result = services.searcher.by_photo(data, SearchOptions(limit, filters, min_score))
    return SearchAnswer.of(result, _since_ms(started))


@router.get("/images/{image_id}/similar", summary="More like this")
def similar_images(
    services: ServicesDep, image_id: ImageIdDep, options: SearchOptionsDep
) -> SearchAnswer:
    """Photos that look like an indexed one, which is left out."""
    started = time.perf_counter()
    result = services.searcher.similar(image_id, options)
    return SearchAnswer.of(result, _since_ms(started))


def _since_ms(started: float) -> float:
    return (time.perf_counter() - started) * 1e3
