"""Search: by words, by photo, by an indexed photo, by all of them at once; and facets."""

import time
from typing import Annotated

from fastapi import APIRouter, File, Form, Query, UploadFile

from petsearch import queries
from petsearch.errors import InvalidInput
from petsearch.model import Filters
from petsearch.queries import PromptMode, SearchOptions, SpellingMode, TextPart, Weighted
from petsearch.search import FacetField
from services.api.dependencies import (
    MAX_RESULTS,
    ImageIdDep,
    QueryText,
    SearchOptionsDep,
    ServicesDep,
)
from services.api.filter_parameters import FiltersDep
from services.api.responses import errors
from services.api.search_schemas import (
    Facets,
    FacetValue,
    SearchAnswer,
    SearchRequest,
    parse_request,
)

router = APIRouter(prefix="/v1", tags=["search"])

_DEFAULT_LIMIT = 20


@router.get("/search", summary="Search by words", responses=errors(409, 413))
def search_by_text(
    services: ServicesDep,
    options: SearchOptionsDep,
    q: Annotated[
        QueryText, Query(description="What the photo shows.", examples=["grey long-haired cat"])
    ],
    prompt: Annotated[PromptMode, Query(description="raw: no prompt template")] = "auto",
    spelling: Annotated[
        SpellingMode, Query(description="off: names of breeds are not corrected")
    ] = "auto",
) -> SearchAnswer:
    """Photos that show what `q` says, best first."""
    query = queries.Query((Weighted(TextPart(q)),), prompt=prompt, spelling=spelling)
    return _answer(services, query, options)


@router.post(
    "/search",
    summary="Search by words, an indexed image, or both",
    responses=errors(404, 409, writes=True, body=True),
)
def search_composed(services: ServicesDep, request: SearchRequest) -> SearchAnswer:
    """Photos that look like all that is named and less like the negative examples."""
    return _answer(services, request.to_query(), request.to_options())


@router.post(
    "/search/image",
    summary="Search by photo",
    responses=errors(404, 409, writes=True, body=True),
)
def search_by_photo(
    services: ServicesDep,
    photo: Annotated[UploadFile, File(description="A picture, at most 50 MB.")],
    query: Annotated[
        str | None, Form(description="JSON as of POST /v1/search; then no other field.")
    ] = None,
    limit: Annotated[int, Form(ge=1, le=MAX_RESULTS)] = _DEFAULT_LIMIT,
    species: Annotated[str | None, Form(max_length=200)] = None,
    breed: Annotated[str | None, Form(max_length=200)] = None,
    min_score: Annotated[float | None, Form(ge=-1.0, le=1.0)] = None,
) -> SearchAnswer:
    """Photos that look like the one sent. It is not kept."""
    data = photo.file.read(services.image_limits.max_bytes + 1)
    filters = Filters(species=species or None, breed=breed or None)
    options = SearchOptions(limit, filters, min_score)
    if not query:
        return _answer(services, SearchRequest().to_query(data), options)
    if options != SearchOptions(_DEFAULT_LIMIT):
        raise InvalidInput("Give limit, filters and min_score inside query, or leave query out.")
    request = parse_request(query)
    return _answer(services, request.to_query(data), request.to_options())


@router.get("/images/{image_id}/similar", summary="More like this", responses=errors(404, 409))
def similar_images(
    services: ServicesDep, image_id: ImageIdDep, options: SearchOptionsDep
) -> SearchAnswer:
    """Photos that look like an indexed one, which is left out."""
    started = time.perf_counter()
    result = services.searcher.similar(image_id, options)
    return SearchAnswer.of(result, _since_ms(started))


@router.get("/facets", summary="Counts by value", responses=errors(409))
def get_facets(
    services: ServicesDep,
    filters: FiltersDep,
    by: Annotated[FacetField, Query(description="Which field to count by.")],
) -> Facets:
    """How many images there are of each value, under the filters."""
    counts = services.searcher.facets(by, filters)
    values = [FacetValue(value=value, count=count) for value, count in counts.items()]
    return Facets(by=by, values=values)


def _answer(services: ServicesDep, query: queries.Query, options: SearchOptions) -> SearchAnswer:
    started = time.perf_counter()
    result = services.searcher.search(query, options)
    return SearchAnswer.of(result, _since_ms(started))


def _since_ms(started: float) -> float:
    return (time.perf_counter() - started) * 1e3
