"""The embedder as a FastAPI application: models on one device, for all the other parts."""

import re
from collections.abc import Collection

from fastapi import FastAPI, Request, Response
from starlette.datastructures import Headers
from starlette.types import Scope

import petsearch
from petsearch.adapters.embedder_http import LEFT_MS
from services.embedder.disconnects import ClientLeft
from services.embedder.loading import Loading
from services.embedder.metrics import EmbedderMetrics
from services.embedder.routes import router
from services.http.body_limit import BodyLimit
from services.http.deadlines import Deadlines
from services.http.metrics_route import add_metrics_route
from services.http.middleware import CLIENT_LEFT, HostGuard, RequestContext
from services.http.problems import add_problem_handlers

_MILLISECONDS = re.compile(r"[0-9]{1,9}")
_MAX_BODY_BYTES = 128 * 1024 * 1024
_MAX_HELD_BYTES = 256 * 1024 * 1024
_MAX_JSON_BYTES = 32 * 1024 * 1024
"""Parsed, it may take many times as much memory; as many texts as are taken are less."""
_MAX_BYTES_OF = {"/v1/embed/texts": _MAX_JSON_BYTES, "/v1/models": _MAX_JSON_BYTES}


def build_app(
    loading: Loading, metrics: EmbedderMetrics, *, allowed_hosts: Collection[str] = ("*",)
) -> FastAPI:
    """The application over what is loaded, or will be: until then it is alive and not ready.

    Args:
        loading: of the embedder.
        metrics: of it.
        allowed_hosts: names that clients may call it by; any by default.
    """
    app = FastAPI(
        title="petsearch embedder", version=petsearch.__version__, docs_url=None, redoc_url=None
    )
    app.state.loading = loading
    app.include_router(router)
    add_metrics_route(app, metrics)
    add_problem_handlers(app)
    app.add_exception_handler(ClientLeft, _client_left)
    # The last one added is the outermost.
    app.add_middleware(Deadlines, seconds_of=_seconds_left)
    app.add_middleware(
        BodyLimit,
        max_bytes_of=lambda scope: _MAX_BYTES_OF.get(scope["path"], _MAX_BODY_BYTES),
        max_held_bytes=_MAX_HELD_BYTES,
    )
    app.add_middleware(HostGuard, allowed_hosts=allowed_hosts)
    app.add_middleware(RequestContext)
    return app


def _seconds_left(scope: Scope) -> float | None:
    """What the caller said it would wait."""
    left_ms = Headers(scope=scope).get(LEFT_MS, "")
    return int(left_ms) / 1000 if _MILLISECONDS.fullmatch(left_ms) else None


async def _client_left(_request: Request, _error: Exception) -> Response:
    return Response(status_code=CLIENT_LEFT)
