"""What routes ask for: the services, and the parameters that several of them share.

They are coroutines because FastAPI runs any other dependency in a worker thread, one after another.
"""

import re
from typing import Annotated
from uuid import UUID

from fastapi import Depends, Query, Request
from pydantic import AfterValidator, StringConstraints

from petsearch.app.services import Services
from petsearch.domain.errors import NotFound
from petsearch.domain.metadata import Count, Number, reject_lone_surrogates
from petsearch.search import GroupBy, SearchOptions, SortHits
from services.api.callers import caller_of
from services.api.filter_parameters import FiltersDep
from services.api.schemas.common import View

MAX_RESULTS = 100
MAX_CURSOR = 20_000
Cursor = Annotated[
    str, StringConstraints(max_length=MAX_CURSOR, pattern=r"^[A-Za-z0-9_|,:.+ \t-]*$")
]
"""A place in a walk, in characters that keep addresses below what HTTP servers read."""
QueryText = Annotated[
    str, StringConstraints(max_length=4000), AfterValidator(reject_lone_surrogates)
]
"""Words to search by; how many of them are accepted is a setting."""
SORT_HITS = (
    "What comes first of the best 1,000 photos: the best, the nearest to `near`, or the newest; "
    "those without taken_at last."
)
GROUP_BY = (
    "animal: the photo of each animal_id that has the best score, whatever the order; `sort` "
    "places each animal by that photo. A photo without an animal_id stands for itself."
)
_JOB_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")


async def _services(request: Request) -> Services:
    services = request.app.state.services
    assert isinstance(services, Services)
    return services


async def _search_options(
    filters: FiltersDep,
    limit: Annotated[Count, Query(ge=1, le=MAX_RESULTS)] = 20,
    min_score: Annotated[Number | None, Query(ge=-1.0, le=1.0)] = None,
    min_confidence: Annotated[
        Number | None, Query(ge=0.0, le=1.0, description="Breeds, species and photos only.")
    ] = None,
    group_by: Annotated[GroupBy | None, Query(description=GROUP_BY)] = None,
    cursor: Annotated[
        Cursor | None,
        Query(
            description="next_cursor of the page before; a walk ends after 1,000 results",
        ),
    ] = None,
    sort: Annotated[SortHits, Query(description=SORT_HITS)] = "score",
) -> SearchOptions:
    return SearchOptions(
        limit=limit,
        filters=filters,
        min_score=min_score,
        min_confidence=min_confidence,
        group_by=group_by,
        cursor=cursor,
        sort=sort,
    )


async def _caller_id(request: Request) -> str:
    """Whoever needs no key may see every job, so what they ask is not kept apart."""
    caller = caller_of(request)
    return caller.key.key_id if caller.key is not None else "anonymous"


async def _view(request: Request, services: Annotated[Services, Depends(_services)]) -> View:
    caller = caller_of(request)
    return View(
        sure_from=services.images.sure_from,
        is_known=caller.is_known,
        sees_places=caller.sees_places,
    )


async def _image_id(image_id: UUID) -> str:
    return str(image_id)


def _job_id(job_id: str) -> str:
    """Ids are words; with anything else in it there is no such job."""
    if not _JOB_ID.fullmatch(job_id):
        raise NotFound(f"There is no job {job_id!r}.")
    return job_id


ServicesDep = Annotated[Services, Depends(_services)]
ViewDep = Annotated[View, Depends(_view)]
CallerIdDep = Annotated[str, Depends(_caller_id)]
"""The id of the caller's key."""
SearchOptionsDep = Annotated[SearchOptions, Depends(_search_options)]
JobIdDep = Annotated[str, Depends(_job_id)]
ImageIdDep = Annotated[str, Depends(_image_id)]
