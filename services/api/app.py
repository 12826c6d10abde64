"""The API as a FastAPI application over services that are given to it."""

from pathlib import Path

from fastapi import FastAPI
from fastapi.middleware.cors import CORSMiddleware
from fastapi.staticfiles import StaticFiles

import petsearch
from petsearch.bootstrap import Services
from services.api.authorisation import AccessTable, Authorisation
from services.api.callers import Callers, KeyPolicy
from services.api.rate_limits import RateLimits
from services.api.routes import (
    ancestor,
    duplicates,
    images,
    job_events,
    jobs,
    keys,
    search,
    session,
    status,
)
from services.http.middleware import BodyLimit, HostAndOriginGuard, RequestContext
from services.http.problems import add_problem_handlers

_CORS_METHODS = ("GET", "POST", "PATCH", "DELETE")
_CORS_HEADERS = ("Authorization", "Content-Type", "Idempotency-Key", "Range", "X-Request-Id")
_CORS_EXPOSED = ("ETag", "Location", "RateLimit", "RateLimit-Policy", "Retry-After", "X-Request-Id")


def build_app(
    services: Services, *, web_dir: Path | None = None, is_on_loopback: bool = False
) -> FastAPI:
    """The application.

    Args:
        is_on_loopback: only this machine reaches it, so no key is asked for before one was made.
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
    for module in (search, images, duplicates, jobs, job_events, keys, session, status, ancestor):
        app.include_router(module.router)
    add_problem_handlers(app)
    _add_middleware(
        app, services, web_dir, KeyPolicy(services.settings.allow_no_keys, is_on_loopback)
    )
    if web_dir is not None:
        app.mount("/", StaticFiles(directory=web_dir, html=True), name="web")
    return app


def _add_middleware(
    app: FastAPI, services: Services, web_dir: Path | None, policy: KeyPolicy
) -> None:
    """The last one added is the outermost."""
    settings = services.settings
    origins, proxies = settings.cors_origins, settings.trusted_proxies
    app.add_middleware(BodyLimit, max_bytes=settings.limits.request_bytes)
    app.add_middleware(
        Authorisation,
        callers=Callers(services.keys, policy, trusted_proxies=proxies, clock=services.clock),
        limits=RateLimits(
            services.limiter,
            of_key=settings.key_requests_per_minute,
            of_address=settings.anonymous_requests_per_minute,
        ),
        table=AccessTable(web_dir=web_dir),
        anonymous_search=settings.anonymous_search,
    )
    if origins:
        # Without credentials: a page of another origin sends a key, never our cookie.
        app.add_middleware(
            CORSMiddleware,
            allow_origins=origins,
            allow_methods=_CORS_METHODS,
            allow_headers=_CORS_HEADERS,
            expose_headers=_CORS_EXPOSED,
        )
    app.add_middleware(
        HostAndOriginGuard, allowed_hosts=settings.allowed_hosts, allowed_origins=origins
    )
    app.add_middleware(RequestContext, trusted_proxies=proxies, embeddable=bool(origins))
