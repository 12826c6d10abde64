"""Answers for HTTP/1.0 clients, which know no chunks: each is sent whole, with its length."""

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send


class Http10Responses:
    """Holds back an answer to an HTTP/1.0 request that does not say its length until its end.

    uvicorn would frame it in chunks. nginx asks in HTTP/1.0 where nothing else is configured.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one connection."""
        if scope["type"] != "http" or scope["http_version"] != "1.0":
            await self._app(scope, receive, send)
            return
        start: Message = {}
        parts: list[bytes] = []

        async def send_whole(message: Message) -> None:
            nonlocal start
            if message["type"] == "http.response.start":
                if _has_its_length(scope, message):
                    await send(message)
                else:
                    start = message
            elif not start:
                await send(message)
            else:
                parts.append(message.get("body", b""))
                if not message.get("more_body", False):
                    body = b"".join(parts)
                    MutableHeaders(scope=start)["Content-Length"] = str(len(body))
                    await send(start)
                    await send({"type": "http.response.body", "body": body})

        await self._app(scope, receive, send_whole)


def _has_its_length(scope: Scope, start: Message) -> bool:
    is_empty = scope["method"] == "HEAD" or start["status"] in (204, 304)
    return is_empty or "content-length" in MutableHeaders(scope=start)
