"""The files of the web client, served where no route of the API is."""

from contextlib import suppress
from functools import partial
from http import HTTPStatus
from pathlib import Path

from anyio import CapacityLimiter, move_on_after
from anyio.to_thread import run_sync
from starlette.datastructures import MutableHeaders, QueryParams
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

import petsearch
from petsearch.domain import deadline
from petsearch.domain.errors import PetsearchError
from petsearch.observability import get_logger
from services.api.page.previews import Previews, previewed_photo
from services.http.content_coding import Gzip
from services.http.forwarded import public_path

log = get_logger(__name__)

_WIDGET = "/embed.js"
"""What pages of other sites load."""
_PAGES = ("/", "/index.html")
_PREVIEWS_AT_A_TIME = 4


def web_dir() -> Path | None:
    """The web client: beside the package, in a checkout as in an installation."""
    folder = Path(petsearch.__file__).parent.parent / "web"
    return folder if (folder / "index.html").is_file() else None


class WebClient:
    """Answers what no route matched: not a mount at `/`, which would hide 405 behind its 404."""

    def __init__(self, folder: Path, previews: Previews) -> None:
        # A quarter of the bytes; these files hold no secret that a compressed size could tell.
        self._files = Gzip(_Page(StaticFiles(directory=folder, html=True), previews))

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


class _Page:
    """The files, where the page of a photo says what previews show of it."""

    def __init__(self, files: ASGIApp, previews: Previews) -> None:
        self._files = files
        self._previews = previews
        self._threads = CapacityLimiter(_PREVIEWS_AT_A_TIME)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        page = await self._page_of_photo(scope)
        answer = self._files if page is None else HTMLResponse(page)
        await answer(scope, receive, send)

    async def _page_of_photo(self, scope: Scope) -> str | None:
        photo = previewed_photo(scope["query_string"]) if scope["path"] in _PAGES else None
        if photo is None:
            return None
        site = Request(scope).base_url.replace(path=public_path("/"))
        seconds = self._previews.patience_s
        deadline.set_current(deadline.Deadline(seconds))
        with move_on_after(seconds), suppress(PetsearchError):
            return await run_sync(
                partial(self._previews.page_of, photo, site),
                limiter=self._threads,
                abandon_on_cancel=True,
            )
        log.info("no preview in time; the page is served without", image_id=photo)
        return None
