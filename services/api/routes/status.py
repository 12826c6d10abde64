"""Counts and health."""

from collections.abc import Callable

from fastapi import APIRouter, Response

from petsearch.bootstrap import Services
from petsearch.errors import PetsearchError
from petsearch.model import Job
from services.api.dependencies import ServicesDep
from services.api.schemas import Health, Seeding, Stats

router = APIRouter(tags=["status"])

SEED_SOURCE = "seed"
"""The source of the job that fills the demo's first catalogue."""


@router.get("/v1/stats", summary="Counts")
def get_stats(services: ServicesDep) -> Stats:
    """How many photos there are, by species and breed, and which model ranks them."""
    images, by_species, by_breed = services.searcher.counts()
    model = services.catalogue.current().model
    return Stats(
        images=images,
        by_species=by_species,
        by_breed=by_breed,
        model_id=model.model_id,
        sample=model.is_sample,
        seeding=_seeding(services.jobs.newest(5)),
    )


@router.get("/livez", summary="Does the process answer?")
async def get_livez() -> Health:
    """Says only that the event loop turns."""
    return Health(status="ok")


@router.get("/readyz", summary="Do its parts answer?", responses={503: {"model": Health}})
def get_readyz(services: ServicesDep, response: Response) -> Health:
    """Asks every part; 503 if one does not answer."""
    checks = {name: _check(call) for name, call in _probes(services).items()}
    ready = all(answer == "ok" for answer in checks.values())
    if not ready:
        response.status_code = 503
    return Health(status="ok" if ready else "unavailable", checks=checks)


def _probes(services: Services) -> dict[str, Callable[[], object]]:
    return {
        "index": services.index.ping,
        "store": services.store.ping,
        "redis": services.ledger.ping,
        "embedder": services.catalogue.current,
    }


def _check(call: Callable[[], object]) -> str:
    try:
        call()
    except PetsearchError as error:
        return error.detail
    return "ok"


def _seeding(jobs: list[Job]) -> Seeding | None:
    for job in jobs:
        if job.source == SEED_SOURCE and not job.state.is_final:
            return Seeding(done=job.done, total=job.expected or job.total)
    return None
