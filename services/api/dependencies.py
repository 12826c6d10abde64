"""What routes ask for: the services, and the parameters that several of them share."""

from typing import Annotated
from uuid import UUID

from fastapi import Depends, Header, Query, Request

from petsearch.bootstrap import Services
from petsearch.model import Filters
from petsearch.search import SearchOptions

MAX_RESULTS = 100


def _services(request: Request) -> Services:
    services = request.app.state.services
    assert isinstance(services, Services)
    return services


def _filters(
    species: Annotated[str | None, Query(max_length=200, examples=["cat"])] = None,
    breed: Annotated[str | None, Query(max_length=200, examples=["siamese"])] = None,
) -> Filters:
    return Filters(species=species or None, breed=breed or None)


def _search_options(
    filters: Annotated[Filters, Depends(_filters)],
    limit: Annotated[int, Query(ge=1, le=MAX_RESULTS)] = 20,
    min_score: Annotated[float | None, Query(ge=-1.0, le=1.0)] = None,
) -> SearchOptions:
    return SearchOptions(limit=limit, filters=filters, min_score=min_score)


def _image_id(image_id: UUID) -> str:
    return str(image_id)


IdempotencyKey = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        pattern=r"^[A-Za-z0-9._-]{1,64}$",
        description="Of this call: repeated with the same one, its photos count once.",
    ),
]
ServicesDep = Annotated[Services, Depends(_services)]
FiltersDep = Annotated[Filters, Depends(_filters)]
SearchOptionsDep = Annotated[SearchOptions, Depends(_search_options)]
ImageIdDep = Annotated[str, Depends(_image_id)]
