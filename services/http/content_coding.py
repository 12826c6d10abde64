"""Refuses compressed request bodies, which nobody here decompresses."""

from http import HTTPStatus

from starlette.datastructures import Headers
from starlette.types import Receive, Scope, Send

from services.http.asgi import HttpMiddleware
from services.http.problems import problem

_PLAIN = "identity"


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
