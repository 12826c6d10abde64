"""ETags of JSON answers, and the conditions that requests make of them (RFC 9110, 13)."""

import hashlib
import re

from pydantic import BaseModel
from starlette.types import Receive, Scope, Send

from petsearch.domain.errors import Outdated
from services.http.asgi import HttpMiddleware

_CONDITIONS = (b"if-match", b"if-none-match")
_CODING = re.compile(rb'(?:-{1,2}|;)(?:gzip|br|zstd|deflate)(?=")|(?<=")-(?:gzip|br)\b', re.I)
"""What Apache (`"x-gzip"`), Jetty (`"x--gzip"`) and others add to the tag of what they compress."""


class PlainEtags(HttpMiddleware):
    """Takes from the tags in conditions what a compressing proxy has added to ours."""

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        others = [header for header in scope["headers"] if header[0] not in _CONDITIONS]
        # A list may stand in several lines.
        lines = [(name, [v for n, v in scope["headers"] if n == name]) for name in _CONDITIONS]
        joined = [(name, _CODING.sub(b"", b", ".join(found))) for name, found in lines if found]
        scope["headers"] = [*others, *joined]
        await self.app(scope, receive, send)


def etag_of(body: BaseModel) -> str:
    """A strong ETag: it changes whenever the answer does."""
    return f'"{hashlib.sha256(body.model_dump_json().encode()).hexdigest()[:32]}"'


def is_named(header: str, etag: str) -> bool:
    """Whether an `If-Match` or `If-None-Match` header names `etag`, weakly or not, or is `*`."""
    named = [word.strip().removeprefix("W/") for word in header.split(",")]
    return etag in named or "*" in named


def check_if_match(header: str | None, etag: str) -> None:
    """Refuse a change of something that the caller has not seen as it is now.

    Raises:
        Outdated: `If-Match` names another state.
    """
    if header is not None and not is_named(header, etag):
        raise Outdated("It was changed since you read it; read it again and repeat your change.")
