"""A lean asynchronous HTTP client for crowds: one request at a time on each connection."""

import asyncio
import re
from dataclasses import dataclass
from typing import cast

_END_OF_HEAD = b"\r\n\r\n"
_LENGTH = re.compile(rb"\r\ncontent-length: (\d+)")
_HOST = "127.0.0.1"


@dataclass(frozen=True)
class Reply:
    """What is counted of a response."""

    status: int
    has_retry_after: bool
    closes: bool

    @property
    def is_refusal(self) -> bool:
        """Whether the server has no room for the request now."""
        return self.status in (429, 503)


class Line(asyncio.Protocol):
    """A connection to a port of loopback; see `connect`."""

    def __init__(self) -> None:
        self.is_open = False
        self._received = b""
        self._reply: asyncio.Future[Reply] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See `asyncio.Protocol`."""
        self._transport = cast(asyncio.Transport, transport)
        self.is_open = True

    def data_received(self, data: bytes) -> None:
        """See `asyncio.Protocol`."""
        self._received += data
        waiting = self._reply is not None and not self._reply.done()
        if waiting and (reply := _complete_reply(self._received)) is not None:
            assert self._reply is not None
            self._reply.set_result(reply)

    def connection_lost(self, _error: Exception | None) -> None:
        """See `asyncio.Protocol`."""
        self.is_open = False
        if self._reply is not None and not self._reply.done():
            self._reply.set_exception(ConnectionError("closed without a response"))

    def expect_reply(self) -> asyncio.Future[Reply]:
        """The reply to the request that is written from now on.

        It may come before the request is written whole; ConnectionError: there was none.
        """
        self._received = b""
        self._reply = asyncio.get_running_loop().create_future()
        if not self.is_open:
            self._reply.set_exception(ConnectionError("closed before the request"))
        return self._reply

    def write(self, data: bytes) -> None:
        """Send a part of a request."""
        self._transport.write(data)

    def close(self) -> None:
        """Close the connection, whatever is on its way."""
        self._transport.abort()


async def connect(port: int) -> Line:
    """Open a connection."""
    _, line = await asyncio.get_running_loop().create_connection(Line, _HOST, port)
    return line


def request(method: str, path: str, key: str, body: bytes = b"", content_type: str = "") -> bytes:
    """A request as it is sent; without `key` no key is shown."""
    lines = [f"{method} {path} HTTP/1.1", f"Host: {_HOST}"]
    lines += [f"Authorization: Bearer {key}"] if key else []
    lines += [f"Content-Type: {content_type}", f"Content-Length: {len(body)}"] if body else []
    return "\r\n".join(lines).encode() + _END_OF_HEAD + body


def _complete_reply(received: bytes) -> Reply | None:
    """The reply, once its last byte is there; streams, which have no length, are not expected."""
    end = received.find(_END_OF_HEAD)
    if end < 0:
        return None
    head = received[:end].lower()
    length = _LENGTH.search(head)
    if len(received) < end + len(_END_OF_HEAD) + (int(length[1]) if length else 0):
        return None
    return Reply(int(head[9:12]), b"\r\nretry-after:" in head, b"\r\nconnection: close" in head)
