"""The API as a FastAPI application over services that are given to it."""

from http import HTTPStatus
from pathlib import Path

from fastapi import FastAPI, Request, Response

import petsearch
from petsearch.bootstrap import Services
from petsearch.model import JsonDict
from services.api.metrics import ApiMetrics, Measure
from services.api.readiness import Readiness, probes_of
from services.api.responses import PROBLEM, Problem
from services.api.routes import (
    ancestor,
    duplicates,
    image_files,
    images,
    job_events,
    jobs,
    search,
    status,
    uploads,
)
from services.api.web_client import WebClient
from services.http.middleware import BodyLimit, HostAndOriginGuard, RequestContext
from services.http.problems import add_problem_handlers, problem, request_id_of

_ROUTES = (search, images, uploads, image_files, duplicates, jobs, job_events, status, ancestor)


class Api(FastAPI):
    """A FastAPI whose document describes the errors as they are."""

    def openapi(self) -> JsonDict:
        """The OpenAPI 3.1 document."""
        document = super().openapi()
        schemas = document["components"]["schemas"]
        schemas[PROBLEM] = Problem.model_json_schema()
        return document


def _method_not_allowed(request: Request, error: Exception) -> Response:
    """Every method of the path is named, also where they are routes of their own."""
    path = getattr(request.scope.get("route"), "path_format", "")
    methods = request.app.openapi()["paths"].get(path, {})
    headers = dict(getattr(error, "headers", None) or {})
    if methods:
        headers["Allow"] = ", ".join(sorted(method.upper() for method in methods))
    detail = f"{path or 'This address'} knows no {request.method}."
    return problem(HTTPStatus.METHOD_NOT_ALLOWED, detail, request_id_of(request), headers)


def build_app(
    services: Services, *, web_dir: Path | None = None, metrics: ApiMetrics | None = None
) -> FastAPI:
    """The application.

    Args:
        web_dir: folder of the web client to serve at `/`; None where a proxy does that.
        metrics: what counts the requests, where somebody asks for them.
    """
    app = Api(
        title="petsearch",
        summary="Find pet photos by words or by photo.",
        version=petsearch.__version__,
        docs_url=None,
        redoc_url=None,
        # A slash too many is another address; a redirect would be one more answer to document.
        redirect_slashes=False,
    )
    app.state.services = services
    app.state.readiness = Readiness(probes_of(services))
    for module in _ROUTES:
        app.include_router(module.router)
    add_problem_handlers(app)
    app.add_exception_handler(HTTPStatus.METHOD_NOT_ALLOWED, _method_not_allowed)
    # The last one added is the outermost.
    app.add_middleware(BodyLimit, max_bytes=services.settings.limits.request_bytes)
    app.add_middleware(HostAndOriginGuard, allowed_hosts=services.settings.allowed_hosts)
    app.add_middleware(RequestContext)
    if metrics is not None:
        app.add_middleware(Measure, metrics=metrics)
    if web_dir is not None:
        app.router.default = WebClient(web_dir)
    return app
