"""The embedder as a FastAPI application: models on one device, for all the other parts."""

from fastapi import FastAPI, Request, Response

import petsearch
from services.embedder.disconnects import ClientLeft
from services.embedder.parts import Parts
from services.embedder.routes import router
from services.http.body_limit import BodyLimit
from services.http.metrics_route import add_metrics_route
from services.http.middleware import RequestContext
from services.http.problems import add_problem_handlers

_MAX_BODY_BYTES = 128 * 1024 * 1024
_MAX_HELD_BYTES = 256 * 1024 * 1024
_MAX_JSON_BYTES = 32 * 1024 * 1024
"""Parsed, it may take many times as much memory; as many texts as are taken are less."""
_CLIENT_CLOSED_REQUEST = 499
"""nginx's status for the log; the client is gone."""
_MAX_BYTES_OF = {"/v1/embed/texts": _MAX_JSON_BYTES, "/v1/models": _MAX_JSON_BYTES}


def build_app(parts: Parts) -> FastAPI:
    """The application over an embedder that is loaded and warm: it is ready at once."""
    app = FastAPI(
        title="petsearch embedder", version=petsearch.__version__, docs_url=None, redoc_url=None
    )
    app.state.parts = parts
    parts.metrics.watch(parts.embedder)
    app.include_router(router)
    add_metrics_route(app, parts.metrics)
    add_problem_handlers(app)
    app.add_exception_handler(ClientLeft, _client_left)
    # The last one added is the outermost.
    app.add_middleware(
        BodyLimit,
        max_bytes_of=lambda scope: _MAX_BYTES_OF.get(scope["path"], _MAX_BODY_BYTES),
        max_held_bytes=_MAX_HELD_BYTES,
    )
    app.add_middleware(RequestContext)
    return app


async def _client_left(_request: Request, _error: Exception) -> Response:
    return Response(status_code=_CLIENT_CLOSED_REQUEST)
