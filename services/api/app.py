"""The API as a FastAPI application over services that are given to it."""

from pathlib import Path

from fastapi import FastAPI
from fastapi.staticfiles import StaticFiles

import petsearch
from petsearch.bootstrap import Services
from services.api.routes import ancestor, duplicates, images, job_events, jobs, search, status
from services.http.middleware import BodyLimit, HostAndOriginGuard, RequestContext
from services.http.problems import add_problem_handlers


def build_app(services: Services, *, web_dir: Path | None = None) -> FastAPI:
    """The application.

    Args:
        web_dir: folder of the web client to serve at `/`; None where a proxy does that.
    """
    app = FastAPI(
        title="petsearch",
        summary="Find pet photos by words or by photo.",
        version=petsearch.__version__,
        docs_url=None,
        redoc_url=None,
    )
    app.state.services = services
    for module in (search, images, duplicates, jobs, job_events, status, ancestor):
        app.include_router(module.router)
    add_problem_handlers(app)
    # The last one added is the outermost.
    app.add_middleware(BodyLimit, max_bytes=services.settings.limits.request_bytes)
    app.add_middleware(HostAndOriginGuard, allowed_hosts=services.settings.allowed_hosts)
    app.add_middleware(RequestContext)
    if web_dir is not None:
        app.mount("/", StaticFiles(directory=web_dir, html=True), name="web")
    return app
