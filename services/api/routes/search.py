"""Search: by words, by photo, by an indexed photo, by all of them at once; and facets."""

from typing import Annotated

from fastapi import File, Form, Query, Response, UploadFile
from pydantic import Discriminator, Tag

from petsearch.catalogue import AttributeFacet, FacetField
from petsearch.domain.errors import InvalidInput
from petsearch.domain.metadata import Count, Number
from petsearch.domain.visible_text import is_blank
from petsearch.search import PhotoPart, PromptMode, SearchOptions, SpellingMode, TextPart, Weighted
from petsearch.search import query as queries
from services.api.dependencies import (
    MAX_RESULTS,
    ImageIdDep,
    QueryText,
    SearchOptionsDep,
    ServicesDep,
    ViewDep,
)
from services.api.filter_parameters import FiltersDep
from services.api.responses import errors
from services.api.router import Router
from services.api.routes.photo_fields import PhotoFiltersDep, blank_as
from services.api.schemas.search import (
    Facets,
    FacetValue,
    SearchAnswer,
    SearchRequest,
    parse_request,
)
from services.http.forms import FormRoute

router = Router(prefix="/v1", tags=["search"], route_class=FormRoute)

_DEFAULT_LIMIT = 20


@router.get(
    "/search",
    response_model=SearchAnswer,
    summary="Search by words",
    responses=errors(409, 413),
)
def search_by_text(
    services: ServicesDep,
    view: ViewDep,
    options: SearchOptionsDep,
    q: Annotated[
        QueryText, Query(description="What the photo shows.", examples=["grey long-haired cat"])
    ],
    prompt: Annotated[PromptMode, Query(description="raw: no prompt template")] = "auto",
    spelling: Annotated[
        SpellingMode, Query(description="off: names of breeds are not corrected")
    ] = "auto",
) -> Response:
    """Photos that show what `q` says, best first."""
    query = queries.Query((Weighted(TextPart(q)),), prompt=prompt, spelling=spelling)
    return SearchAnswer.of(
        services.search.by_query(query, options), view.around(options.filters)
    ).to_json()


@router.post(
    "/search",
    response_model=SearchAnswer,
    summary="Search by words, an indexed image, or both",
    responses=errors(404, 409, writes=True, body=True),
)
def search_composed(services: ServicesDep, view: ViewDep, request: SearchRequest) -> Response:
    """Photos that look like all that is named and less like the negative examples."""
    options = request.to_options(view)
    photo = None if request.shared is None else services.shared.photo(request.shared)
    result = services.search.by_query(request.to_query(photo), options)
    return SearchAnswer.of(result, view.around(options.filters)).to_json()


@router.post(
    "/search/image",
    response_model=SearchAnswer,
    summary="Search by photo",
    responses=errors(404, 409, writes=True, body=True),
)
def search_by_photo(
    services: ServicesDep,
    view: ViewDep,
    photo: Annotated[UploadFile, File(description="A picture, at most 50 MB.")],
    filters: PhotoFiltersDep,
    query: Annotated[
        str | None, Form(description="JSON as of POST /v1/search; then no other field.")
    ] = None,
    limit: Annotated[Count, Form(ge=1, le=MAX_RESULTS), blank_as(_DEFAULT_LIMIT)] = _DEFAULT_LIMIT,
    min_score: Annotated[Number | None, Form(ge=-1.0, le=1.0), blank_as(None)] = None,
) -> Response:
    """Photos that look like the one sent. It is not kept. Other filters go into `query`."""
    data = photo.file.read(services.settings.limits.image_bytes + 1)
    options = SearchOptions(limit, filters, min_score)
    request = SearchRequest()
    if query and not is_blank(query):
        if options != SearchOptions(_DEFAULT_LIMIT):
            raise InvalidInput("Give limit, filters and min_score inside query, or leave it out.")
        request = parse_request(query)
        options = request.to_options(view)
    return SearchAnswer.of(
        services.search.by_query(request.to_query(PhotoPart(data)), options),
        view.around(options.filters),
    ).to_json()


@router.get(
    "/images/{image_id}/similar",
    response_model=SearchAnswer,
    summary="More like this",
    responses=errors(404, 409),
)
def similar_images(
    services: ServicesDep, view: ViewDep, image_id: ImageIdDep, options: SearchOptionsDep
) -> Response:
    """Photos that look like an indexed one, which is left out."""
    return SearchAnswer.of(
        services.search.by_image(image_id, options), view.around(options.filters)
    ).to_json()


@router.get("/facets", summary="Counts by value", responses=errors(409))
def get_facets(
    services: ServicesDep,
    view: ViewDep,
    filters: FiltersDep,
    by: Annotated[
        Annotated[FacetField, Tag("field")] | Annotated[AttributeFacet, Tag("attribute")],
        Discriminator(lambda by: "attribute" if str(by).startswith("attributes.") else "field"),
        Query(description="What to count by; attributes.collar counts values of one attribute."),
    ],
) -> Facets:
    """How many images there are of each value, under the filters."""
    images = services.images
    view.check_facet(by)
    counts = {v: n for v, n in images.facets(by, filters).items() if view.shows_value(by, v)}
    guessed = by in ("species", "breed")
    return Facets(
        by=by,
        values=[FacetValue(value=value, count=count) for value, count in counts.items()],
        # Counted one after the other, while photos may be deleted.
        unsure=max(0, images.count(filters) - sum(counts.values())) if guessed else None,
        predictions_calibrated=images.is_calibrated(filters),
        unknown=list(images.unknown_names(filters)),
    )
