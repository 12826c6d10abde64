"""The files of the web client, served where no route of the API is."""

from http import HTTPStatus
from pathlib import Path

from starlette.datastructures import MutableHeaders, QueryParams
from starlette.exceptions import HTTPException
from starlette.middleware.gzip import GZipMiddleware
from starlette.staticfiles import StaticFiles
from starlette.types import Message, Receive, Scope, Send

_WIDGET = "/embed.js"
"""What pages of other sites load."""


class WebClient:
    """Answers what no route matched: not a mount at `/`, which would hide 405 behind its 404."""

    def __init__(self, folder: Path) -> None:
        # A quarter of the bytes; these files hold no secret that a compressed size could tell.
        self._files = GZipMiddleware(StaticFiles(directory=folder, html=True))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one connection."""
        if scope["type"] != "http" or scope["method"] not in ("GET", "HEAD"):
            raise HTTPException(HTTPStatus.NOT_FOUND)

        async def send_to_be_asked_again(message: Message) -> None:
            if message["type"] == "http.response.start":
                # Files have no version in their names: ask each time, and be told "not modified".
                headers = MutableHeaders(scope=message)
                headers["Cache-Control"] = "no-cache"
                if scope["path"] == _WIDGET:
                    headers["Cross-Origin-Resource-Policy"] = "cross-origin"
                if "shared" in QueryParams(scope["query_string"]):
                    headers["X-Robots-Tag"] = "noindex"
            await send(message)

        await self._files(scope, receive, send_to_be_asked_again)
