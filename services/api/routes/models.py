"""Models: which there are, build the collection of the next one, let it serve, go back."""

from typing import Annotated

from fastapi import Path, Query, Response

from services.api.dependencies import ServicesDep
from services.api.responses import errors
from services.api.router import Router
from services.api.schemas.jobs import JobBody
from services.api.schemas.models import (
    ModelId,
    ModelList,
    ModelStateBody,
    MovedBody,
    ReindexRequest,
)
from services.http.forwarded import public_path

router = Router(prefix="/v1", tags=["models"])

ModelIdPath = Annotated[ModelId, Path()]
AcceptWorse = Annotated[
    bool,
    Query(description="Also a model that finds photos of the same breed worse than the current."),
]


@router.get("/models", summary="Models of this server", responses=errors())
def list_models(services: ServicesDep) -> ModelList:
    """Those that are published, loaded or have a collection."""
    states = services.models.states()
    return ModelList(items=[ModelStateBody.of(state) for state in states])


@router.post(
    "/reindex",
    status_code=202,
    summary="Build the collection of another model",
    responses=errors(404, 409, writes=True, body=True),
)
def reindex(services: ServicesDep, response: Response, body: ReindexRequest) -> JobBody:
    """A job that embeds every stored image with a published model, while search goes on.

    From now on photos are ingested for both models. Asked again, it is the same job, or one that
    does what is missing.
    """
    job = services.models.reindex(body.model_id)
    response.headers["Location"] = public_path(f"/v1/jobs/{job.job_id}")
    return JobBody.of(job)


@router.post(
    "/models/rollback",
    summary="Go back to the model of before",
    responses=errors(409, writes=True),
)
def rollback(services: ServicesDep) -> MovedBody:
    """What came in since the promotion is found there, too."""
    return MovedBody.of(services.models.rollback())


@router.post(
    "/models/{model_id}/promote",
    summary="Let a model serve",
    responses=errors(404, 409, writes=True),
)
def promote(
    services: ServicesDep, model_id: ModelIdPath, *, accept_worse: AcceptWorse = False
) -> MovedBody:
    """If its reindex has ended and the gate passes; else 409 says why and nothing changes."""
    return MovedBody.of(services.models.promote(model_id, accept_worse=accept_worse))


@router.delete(
    "/models/{model_id}/collection",
    status_code=204,
    summary="Give up the collection of a model",
    responses=errors(404, 409, writes=True),
)
def drop_collection(services: ServicesDep, model_id: ModelIdPath) -> None:
    """Of one that does not serve. There is no way back to it then but another reindex."""
    services.models.drop(model_id)
