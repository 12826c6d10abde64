"""The API as a FastAPI application over services that are given to it."""

from collections.abc import Callable, Collection, Mapping
from functools import partial
from http import HTTPStatus
from pathlib import Path

from anyio import CapacityLimiter
from fastapi import FastAPI, Request, Response
from fastapi.middleware.cors import CORSMiddleware
from starlette.types import Scope

from petsearch.app.services import Services
from petsearch.settings import Settings
from services.api.authorisation import METHODS, AccessTable, Authorisation
from services.api.bodies import HELD_BYTES, body_sizes
from services.api.callers import Callers
from services.api.conditions import PlainEtags
from services.api.metrics import ApiMetrics, Measure
from services.api.openapi import Api
from services.api.page import Previews, WebClient
from services.api.query_strings import AbsentParameters
from services.api.rate_limits import RateLimits
from services.api.readiness import Readiness, probes_of
from services.api.routes import (
    ancestor,
    duplicates,
    image_files,
    images,
    job_events,
    jobs,
    keys,
    models,
    search,
    session,
    shared,
    status,
    uploads,
)
from services.api.routes.rooms import LONG, rooms_of
from services.http.admission import Admission, RoomOf
from services.http.body_limit import BodyLimit
from services.http.content_coding import EXCLUDED_TYPES, Gzip, PlainBodies
from services.http.deadlines import Deadlines
from services.http.disk_guard import DiskGuard
from services.http.draining import Draining, DrainingGuard
from services.http.forms import is_multipart
from services.http.forwarded import ForwardedHeaders
from services.http.full_rooms import FullRooms
from services.http.http10 import Http10Responses
from services.http.middleware import HostGuard, OriginGuard, RequestContext, security_headers
from services.http.problems import add_problem_handlers, problem, request_id_of

_ROUTES = (
    *(search, shared, images, uploads, image_files, duplicates, jobs, job_events),
    *(keys, models, session, status, ancestor),
)

_CORS_METHODS = ("GET", "HEAD", "POST", "PATCH", "DELETE")
_CORS_HEADERS = (
    *("Authorization", "Content-Type", "Idempotency-Key", "If-Match", "If-None-Match"),
    *("If-Range", "Last-Event-ID", "Range", "X-Request-Id"),
)
_CORS_EXPOSED = (
    *("Content-Range", "ETag", "Location", "RateLimit", "RateLimit-Policy", "Retry-After"),
    "X-Request-Id",
)

_WITHOUT_DEADLINE = LONG | {"GET /livez", "GET /readyz", "GET /metrics"}
"""The probes have a time-out of their own."""
_LONG_ANSWER_BYTES = 16_000
"""About as many as a search of fifteen photos takes."""
_VITAL_THREADS = 8
"""Of health, keys and rate limits, which must not wait for the threads of slow routes."""


def _method_not_allowed(request: Request, error: Exception) -> Response:
    """Every method of the path is named, also where they are routes of their own."""
    path = request.scope["path"]
    if path not in METHODS:
        path = getattr(request.scope.get("route"), "path", "")
    headers = dict(getattr(error, "headers", None) or {})
    if path in METHODS:
        headers["Allow"] = ", ".join(sorted(METHODS[path]))
    detail = f"{path or 'This address'} knows no {request.method}."
    return problem(HTTPStatus.METHOD_NOT_ALLOWED, detail, request_id_of(request), headers)


def deadlines_of(table: AccessTable, seconds: float) -> Callable[[Scope], float | None]:
    """How long each request may take; None for one that has no deadline.

    Files of the page have none: they wait for the disk alone, and a page that lacks one of its
    modules stays empty.
    """

    def seconds_of(scope: Scope) -> float | None:
        method, path = scope["method"], scope["path"]
        is_without = table.route_of(method, path) in _WITHOUT_DEADLINE
        return None if is_without or table.is_of_page(method, path) else seconds

    return seconds_of


def build_routes() -> Api:
    """The routes alone, which have the OpenAPI document; calling them takes `build_app`."""
    app = Api()
    for module in _ROUTES:
        # Including a router makes its routes anew, which takes each application 0.2 s.
        app.router.routes.extend(module.router.routes)
    return app


def build_app(
    services: Services,
    *,
    web_dir: Path | None = None,
    metrics: ApiMetrics | None = None,
    draining: Draining | None = None,
    is_on_loopback: bool = False,
    compress: bool = False,
) -> FastAPI:
    """The application.

    Args:
        is_on_loopback: only this machine reaches it, so no key is asked for before one was made.
        web_dir: folder of the web client to serve at `/`; None to serve none.
        metrics: what counts the requests, where somebody asks for them.
        draining: what says that the process is about to exit, where it drains.
        compress: long answers, where no proxy does that.
    """
    app = build_routes()
    app.state.services = services
    app.state.readiness = Readiness(probes_of(services))
    app.state.threads = CapacityLimiter(_VITAL_THREADS)
    add_problem_handlers(app)
    app.add_exception_handler(HTTPStatus.METHOD_NOT_ALLOWED, _method_not_allowed)
    if compress:
        # The innermost. A short answer is sent sooner than it is compressed.
        app.add_middleware(
            Gzip,
            minimum_size=_LONG_ANSWER_BYTES,
            compresslevel=4,
            exclude_content_types=EXCLUDED_TYPES,
        )
    table = AccessTable(web_dir=web_dir)
    room_of = rooms_of(table)
    _add_middleware(app, services, table, room_of, is_on_loopback=is_on_loopback)
    app.state.full_rooms = full_rooms = _full_rooms(app, services, room_of)
    if metrics is not None:
        app.add_middleware(Measure, metrics=metrics)
        full_rooms.count = metrics.refused
    # Outside of `Measure`, which finds the route in its scope: behind a proxy this makes another.
    app.add_middleware(ForwardedHeaders, trusted=services.settings.trusted_proxies)
    if draining is not None:
        app.add_middleware(DrainingGuard, draining=draining)
        full_rooms.draining = draining
    if web_dir is not None:
        app.router.default = WebClient(web_dir, Previews(services, web_dir / "index.html"))
    return app


def _cors_headers(origins: Collection[str], origin: str) -> Mapping[str, str]:
    """As `CORSMiddleware` gives them to a response for a page of `origin`."""
    allowed = "*" if "*" in origins else origin
    if allowed not in origins:
        return {}
    return {
        "Access-Control-Allow-Origin": allowed,
        "Access-Control-Expose-Headers": ", ".join(_CORS_EXPOSED),
        "Vary": "Origin",
    }


def _headers(settings: Settings) -> dict[str, str]:
    """Those of every response."""
    return security_headers(
        embeddable=bool(settings.cors_origins), frame_ancestors=settings.frame_ancestors
    )


def _full_rooms(app: FastAPI, services: Services, room_of: RoomOf) -> FullRooms:
    """What refuses before the middlewares, and so does what they do to a response."""
    settings = services.settings
    return FullRooms(
        room_of,
        as_sent=ForwardedHeaders(app, trusted=settings.trusted_proxies).as_sent,
        headers=_headers(settings),
        cors_headers_of=partial(_cors_headers, settings.cors_origins),
        on_refused=services.giving_way.requests_refused,
    )


def _add_middleware(
    app: FastAPI,
    services: Services,
    table: AccessTable,
    room_of: RoomOf,
    *,
    is_on_loopback: bool,
) -> None:
    """The last one added is the outermost."""
    settings = services.settings
    origins = settings.cors_origins
    app.add_middleware(AbsentParameters)
    app.add_middleware(Admission, room_of=room_of)
    app.add_middleware(
        BodyLimit,
        max_bytes_of=body_sizes(table, settings.limits),
        max_held_bytes=HELD_BYTES,
        is_held=lambda scope: not is_multipart(scope),
    )
    app.add_middleware(PlainEtags)
    app.add_middleware(PlainBodies)
    if (room := services.storage.room) is not None:
        app.add_middleware(DiskGuard, room=room, is_read=table.is_read)
    app.add_middleware(
        Authorisation,
        callers=Callers(
            ring=services.keys,
            allow_no_keys=settings.allow_no_keys,
            is_on_loopback=is_on_loopback,
            clock=services.clock,
            threads=app.state.threads,
        ),
        limits=RateLimits(
            services.limiter,
            app.state.threads,
            of_key=settings.key_requests_per_minute,
            of_address=settings.anonymous_requests_per_minute,
        ),
        table=table,
        anonymous_search=settings.anonymous_search,
    )
    app.add_middleware(Deadlines, seconds_of=deadlines_of(table, settings.request_deadline_s))
    app.add_middleware(OriginGuard, allowed_origins=origins, is_read=table.is_read)
    app.add_middleware(HostGuard, allowed_hosts=settings.allowed_hosts)
    app.add_middleware(RequestContext, headers=_headers(settings))
    app.add_middleware(Http10Responses)
    if origins:
        # Without credentials: a page of another origin sends a key, never our cookie.
        app.add_middleware(
            CORSMiddleware,
            allow_origins=origins,
            allow_methods=_CORS_METHODS,
            allow_headers=_CORS_HEADERS,
            expose_headers=_CORS_EXPOSED,
        )
