"""Refuses compressed request bodies, which nobody here decompresses."""

from http import HTTPStatus

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from services.http.problems import problem

_PLAIN = "identity"


class PlainBodies:
    """Answers 415 to a body with a `Content-Encoding`; `Accept-Encoding` says what is taken."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one connection."""
        app = self._app
        if scope["type"] == "http":
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
