"""The progress of a job as server-sent events."""

import asyncio
from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import Depends, Header, HTTPException, Query, Request
from fastapi.sse import EventSourceResponse, ServerSentEvent
from starlette.concurrency import run_in_threadpool

from petsearch.access import TICKET_S
from petsearch.domain import Job
from petsearch.domain.errors import NotFound, Unavailable
from services.api.callers import caller_of
from services.api.dependencies import JobIdDep, ServicesDep
from services.api.responses import errors
from services.api.router import Router
from services.api.schemas.jobs import EventsTicket, JobBody, JobEvent
from services.http.forwarded import public_path

router = Router(prefix="/v1/jobs", tags=["jobs"])

_POLL_S = 0.5
_RETRY_MS = 2000


async def _seen_version(
    last_event_id: Annotated[str | None, Header(max_length=40)] = None,
    in_address: Annotated[
        str | None,
        Query(
            alias="lastEventId",
            max_length=40,
            description="As the header `Last-Event-ID`, which counts before it; for libraries in "
            "place of a browser's EventSource.",
        ),
    ] = None,
) -> int:
    """The version of the job that the client saw last; -1 for none."""
    told = last_event_id or in_address or ""
    return int(told) if told.isascii() and told.isdigit() else -1


SeenVersionDep = Annotated[int, Depends(_seen_version)]


def _job_to_watch(services: ServicesDep, job_id: JobIdDep, seen: SeenVersionDep) -> Job:
    """Before the stream begins: afterwards there is no status to say it with."""
    job = services.jobs.get(job_id)
    if job.finished_at is not None and job.version == seen:
        raise HTTPException(204)
    return job


@router.get(
    "/{job_id}/events",
    summary="Watch a job",
    response_class=EventSourceResponse,
    response_model=None,
    responses={
        200: {"model": JobEvent},
        204: {"description": "The final state was seen. Do not ask again."},
        **errors(404),
    },
)
async def watch_job(
    request: Request,
    services: ServicesDep,
    job: Annotated[Job, Depends(_job_to_watch)],
    seen: SeenVersionDep,
    _ticket: Annotated[
        str | None,
        Query(alias="ticket", max_length=100, description="instead of a key: see events/ticket"),
    ] = None,
) -> AsyncIterator[ServerSentEvent]:
    """The whole job with every change; the last event is its final state.

    An event's id is the job's version: whoever comes back with `Last-Event-ID` misses nothing,
    because each event says all there is to say. The stream ends within two seconds after the key
    was revoked. To a client of HTTP/1.0 it has one event, since
    it cannot be told where an event ends; the client asks again.
    """
    obstacle = None
    is_short = request.method == "HEAD" or request.scope["http_version"] == "1.0"
    while True:
        if (job.version, job.obstacle) != (seen, obstacle):
            seen, obstacle = job.version, job.obstacle
            yield ServerSentEvent(data=JobBody.of(job), event="job", id=str(seen), retry=_RETRY_MS)
        if job.finished_at is not None or is_short:
            return
        await asyncio.sleep(_POLL_S)
        if not await request.scope["may_go_on"]():
            return
        try:
            job = await run_in_threadpool(services.jobs.get, job.job_id)
        except NotFound:  # deleted: nothing more will come
            return
        except Unavailable as error:
            yield ServerSentEvent(comment=error.detail)


@router.post(
    "/{job_id}/events/ticket",
    status_code=201,
    summary="Watch a job from a browser",
    responses=errors(404, writes=True),
)
def make_ticket(request: Request, services: ServicesDep, job_id: JobIdDep) -> EventsTicket:
    """A ticket for the events of this job, for pages of other origins.

    Their `EventSource` cannot send a key. A ticket may be used for five minutes, also to connect
    again, and opens nothing else. It ends with the caller's key.
    """
    services.jobs.get(job_id)
    path = f"/v1/jobs/{job_id}/events"
    caller = caller_of(request)
    ticket = services.keys.open_ticket(caller.key, path) if caller.key else "none-needed"
    url = public_path(f"{path}?ticket={ticket}")
    return EventsTicket(ticket=ticket, url=url, expires_in_s=TICKET_S)
