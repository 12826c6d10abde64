"""Counts and health."""

from fastapi import Request, Response

from petsearch.domain import Job
from services.api.callers import Caller
from services.api.dependencies import ServicesDep
from services.api.readiness import OK, Readiness
from services.api.responses import errors
from services.api.router import Router
from services.api.schemas.common import Health, Seeding, Stats, UploadLimits

router = Router(tags=["status"])

SEED_SOURCE = "seed"
"""The source of the job that fills the demo's first catalogue."""
_NOT_VITAL = "embedder"
"""Without it photos are still taken in, shown and listed, and known queries answered."""


@router.get("/v1/stats", summary="Counts", responses=errors(409))
def get_stats(services: ServicesDep) -> Stats:
    """How many photos there are, by species and breed, and which model ranks them."""
    target = services.search.any_target()
    model = target.model if target else None
    return Stats(
        images=services.images.count(),
        by_species=services.images.facets("species"),
        by_breed=services.images.facets("breed"),
        predictions_calibrated=model is not None and model.guesses is not None,
        model_id=model.model_id if model else "",
        sample=model is not None and model.is_sample,
        seeding=_seeding(services.jobs.newest(5)),
    )


@router.get("/v1/limits", summary="Limits of uploads", responses=errors())
async def get_limits(services: ServicesDep) -> UploadLimits:
    """How large photos and requests may be, and how many photos a request may bring."""
    limits = services.settings.limits
    return UploadLimits(
        image_bytes=limits.image_bytes,
        photos_per_request=limits.photos_per_request,
        request_bytes=limits.request_bytes,
    )


@router.get("/livez", summary="Does the process answer?", responses=errors())
async def get_livez() -> Health:
    """Says only that the event loop turns."""
    return Health(status="ok")


@router.get(
    "/readyz", summary="Do its parts answer?", responses=errors() | {503: {"model": Health}}
)
async def get_readyz(request: Request, response: Response) -> Health:
    """Asks every part at once and waits a second at most; what is a second old counts.

    Any Host is answered. `checks` is for callers with a key, by a host that is served.

    200 with `degraded` while only the embedder does not answer (photos are taken in, and queries
    that were asked before are answered) or a disk is full (photos are found, and changes are 507).
    503 while index, store or Redis do not answer.
    """
    readiness: Readiness = request.app.state.readiness
    checks = await readiness.check()
    shown = {name: check.detail for name, check in checks.items()}
    if not _may_see_checks(request):
        shown = {}
    if all(check == OK for check in checks.values()):
        return Health(status="ok", checks=shown)
    if all(check.is_up for name, check in checks.items() if name != _NOT_VITAL):
        return Health(status="degraded", checks=shown)
    response.status_code = 503
    return Health(status="unavailable", checks=shown)


def _may_see_checks(request: Request) -> bool:
    caller: Caller | None = request.scope.get("caller")
    is_known = caller is not None and caller.is_known
    return is_known and "is_foreign_host" not in request.scope


def _seeding(jobs: list[Job]) -> Seeding | None:
    for job in jobs:
        if job.source == SEED_SOURCE and not job.state.is_final:
            return Seeding(done=job.done, total=job.expected or job.total)
    return None
