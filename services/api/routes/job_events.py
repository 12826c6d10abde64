"""The progress of a job as server-sent events."""

import asyncio
from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import APIRouter, Depends, Header
from fastapi.sse import EventSourceResponse, ServerSentEvent
from starlette.concurrency import run_in_threadpool

from petsearch.domain import Job
from petsearch.domain.errors import NotFound, Unavailable
from services.api.dependencies import JobIdDep, ServicesDep
from services.api.responses import errors
from services.api.schemas.jobs import JobBody

router = APIRouter(prefix="/v1/jobs", tags=["jobs"])

_POLL_S = 0.5
_RETRY_MS = 2000


def _existing_job(services: ServicesDep, job_id: JobIdDep) -> Job:
    """Before the stream begins: afterwards there is no status to say it with."""
    return services.jobs.get(job_id)


@router.get(
    "/{job_id}/events",
    summary="Watch a job",
    response_class=EventSourceResponse,
    response_model=None,
    responses=errors(404),
)
async def watch_job(
    services: ServicesDep,
    job: Annotated[Job, Depends(_existing_job)],
    last_event_id: Annotated[str | None, Header(max_length=40)] = None,
) -> AsyncIterator[ServerSentEvent]:
    """The whole job with every change; the last event is its final state.

    An event's id is the job's version: whoever comes back with `Last-Event-ID` misses nothing,
    because each event says all there is to say.
    """
    is_version = last_event_id and last_event_id.isascii() and last_event_id.isdigit()
    seen = int(last_event_id or "") if is_version else -1
    while True:
        if job.version != seen:
            seen = job.version
            yield ServerSentEvent(data=JobBody.of(job), event="job", id=str(seen), retry=_RETRY_MS)
        if job.finished_at is not None:
            return
        await asyncio.sleep(_POLL_S)
        try:
            job = await run_in_threadpool(services.jobs.get, job.job_id)
        except NotFound:  # deleted: nothing more will come
            return
        except Unavailable as error:
            yield ServerSentEvent(comment=error.detail)
