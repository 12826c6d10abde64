"""What routes ask for: the services, and the parameters that several of them share.

They are coroutines because FastAPI runs any other dependency in a worker thread, one after another.
"""

from typing import Annotated
from uuid import UUID

from fastapi import Depends, Header, Query, Request

from petsearch.bootstrap import Services
from petsearch.queries import GroupBy, SearchOptions
from services.api.filter_parameters import FiltersDep

MAX_RESULTS = 100
MAX_CURSOR = 20_000


async def _services(request: Request) -> Services:
    services = request.app.state.services
    assert isinstance(services, Services)
    return services


async def _search_options(
    filters: FiltersDep,
    limit: Annotated[int, Query(ge=1, le=MAX_RESULTS)] = 20,
    min_score: Annotated[float | None, Query(ge=-1.0, le=1.0)] = None,
    min_confidence: Annotated[
        float | None, Query(ge=0.0, le=1.0, description="Breeds, species and photos only.")
    ] = None,
    group_by: Annotated[
        GroupBy | None, Query(description="animal: the best photo of each animal_id")
    ] = None,
    cursor: Annotated[
        str | None,
        Query(
            max_length=MAX_CURSOR,
            description="next_cursor of the page before; a walk ends after 1,000 results",
        ),
    ] = None,
) -> SearchOptions:
    return SearchOptions(
        limit=limit,
        filters=filters,
        min_score=min_score,
        min_confidence=min_confidence,
        group_by=group_by,
        cursor=cursor or None,
    )


async def _image_id(image_id: UUID) -> str:
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
SearchOptionsDep = Annotated[SearchOptions, Depends(_search_options)]
ImageIdDep = Annotated[str, Depends(_image_id)]
