"""Compressed bodies: requests may have none, and answers have one where the client takes it."""

import re
from http import HTTPStatus

from starlette.datastructures import Headers
from starlette.middleware.gzip import DEFAULT_EXCLUDED_CONTENT_TYPES, GZipMiddleware
from starlette.types import Receive, Scope, Send

from services.http.asgi import HttpMiddleware
from services.http.problems import problem

_PLAIN = "identity"
_NO_GZIP = re.compile(
    rb"(?:^|,)[ \t]*(?:x-)?gzip[ \t]*;[ \t]*q=0(?:\.0*)?[ \t]*(?:,|$)", re.IGNORECASE
)
_ACCEPT = b"accept-encoding"
EXCLUDED_TYPES = (*DEFAULT_EXCLUDED_CONTENT_TYPES, "image/*")
"""Of stored photos, whose ranges and strong ETags are those of their bytes as they are."""


class Gzip(GZipMiddleware):
    """Compresses answers, but none to a client that refuses gzip (`gzip;q=0`)."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one connection."""
        headers = scope.get("headers", ())  # a lifespan has none
        if any(name == _ACCEPT and _NO_GZIP.search(value) for name, value in headers):
            scope["headers"] = [header for header in scope["headers"] if header[0] != _ACCEPT]
        await super().__call__(scope, receive, send)


class PlainBodies(HttpMiddleware):
    """Answers 415 to a body with a `Content-Encoding`; `Accept-Encoding` says what is taken."""

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        app = self.app
        coding = {
            coding.strip().lower()
            for line in Headers(scope=scope).getlist("content-encoding")
            for coding in line.split(",")
        }
        if coding - {"", _PLAIN}:
            app = problem(
                HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
                "The body is compressed; send it as it is, without Content-Encoding.",
                scope.get("request_id", ""),
                {"Accept-Encoding": _PLAIN, "Connection": "close"},
            )
        await app(scope, receive, send)
