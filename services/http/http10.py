"""Answers for HTTP/1.0 clients, which know no chunks: each is sent whole, with its length."""

from starlette.datastructures import MutableHeaders
from starlette.types import Message, Receive, Scope, Send

from services.http.asgi import HttpMiddleware


class Http10Responses(HttpMiddleware):
    """Holds back an answer to an HTTP/1.0 request that does not say its length until its end.

    uvicorn would frame it in chunks. nginx asks in HTTP/1.0 where nothing else is configured.
    """

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["http_version"] != "1.0":
            await self.app(scope, receive, send)
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

        await self.app(scope, receive, send_whole)


def _has_its_length(scope: Scope, start: Message) -> bool:
    is_empty = scope["method"] == "HEAD" or start["status"] in (204, 304)
    return is_empty or "content-length" in MutableHeaders(scope=start)
