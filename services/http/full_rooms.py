"""Refuses requests whose room is full, before the application sees them.

Under ten times the load that a server can bear, nine tenths of its requests end here. So they pass
no layer of the application, their response is prepared, and they are logged by their number.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus

from starlette.types import Scope

from petsearch.observability import get_logger
from services.http.admission import Room, RoomOf, approach, body_bytes, overloaded
from services.http.draining import Draining
from services.http.middleware import HSTS, request_id, security_headers
from services.http.problems import problem_of

log = get_logger(__name__)

_COUNTED_EVERY_S = 1.0
_READ_BYTES = 256 * 1024
"""A refused body of at most so many bytes is read and dropped, which costs less than to connect."""
_ID = "<id>"

Header = tuple[bytes, bytes]


@dataclass(frozen=True)
class Refusal:
    """A response as it is sent, and whether the connection ends with it."""

    data: bytes
    closes: bool


@dataclass(eq=False)
class FullRooms:
    """Asked by `BoundedProtocol`, as `app.state.full_rooms`, before it calls the application."""

    room_of: RoomOf
    as_sent: Callable[[Scope], Scope] = lambda scope: scope
    """The scope that a client's request has behind proxies."""
    headers: Mapping[str, str] = field(default_factory=security_headers)
    """Those of every response."""
    cors_headers_of: Callable[[str], Mapping[str, str]] = lambda _origin: {}
    """Those of a response to a page of an origin."""
    count: Callable[[str, int, int], None] = lambda _method, _status, _number: None
    """Called with a method, a status and how many were refused, once a second."""
    on_refused: Callable[[], None] = lambda: None
    """Called once a second while requests are refused."""
    draining: Draining = field(default_factory=Draining)

    def __post_init__(self) -> None:
        response = problem_of(overloaded(), _ID)
        self._status = response.status_code
        self._body = bytes(response.body).split(_ID.encode())
        status_line = f"HTTP/1.1 {self._status} {HTTPStatus(self._status).phrase}\r\n".encode()
        of_problem = [one for one in response.raw_headers if one[0] != b"content-length"]
        self._head = status_line + _lines(_encoded(self.headers)) + _lines(of_problem)
        self._refused = Counter[tuple[str, str]]()
        """By room and method, since the last line of the log."""
        self._default_headers: Iterable[Header] = ()
        self._default_lines = b""

    def approach(
        self, scope: Scope, default_headers: Iterable[Header], *, keeps: bool
    ) -> Refusal | None:
        """Let a request come near its room, or refuse it.

        `end_approach` is called for one that was let through, at the latest when it is answered.

        Args:
            default_headers: the server's own, of which it makes another object when they change.
            keeps: the connection may take another request.
        """
        sent = self.as_sent(scope)
        if (room := self.room_of(sent)) is None:
            return None
        if not room.is_full:
            approach(room, scope)
            return None
        self._count_soon(room, scope["method"])
        closes = not keeps or self.draining.has_begun or body_bytes(scope) > _READ_BYTES
        if default_headers is not self._default_headers:
            self._default_headers, self._default_lines = default_headers, _lines(default_headers)
        return Refusal(self._response(sent, closes=closes), closes)

    def _response(self, scope: Scope, *, closes: bool) -> bytes:
        given = request_id(scope).encode()
        body = given.join(self._body)
        lines = b"x-request-id: %b\r\ncontent-length: %d\r\n" % (given, len(body))
        if closes:
            lines += b"connection: close\r\n"
        if (origin := dict(scope["headers"]).get(b"origin")) is not None:
            lines += _lines(_encoded(self.cors_headers_of(str(origin, "latin-1"))))
        if scope["scheme"] == "https":
            lines += b"strict-transport-security: %b\r\n" % HSTS.encode()
        head = self._head + self._default_lines + lines + b"\r\n"
        return head if scope["method"] == "HEAD" else head + body

    def _count_soon(self, room: Room, method: str) -> None:
        """Count one more; each costs little, as there may be thousands a second."""
        if not self._refused:
            self.on_refused()
            asyncio.get_running_loop().call_later(_COUNTED_EVERY_S, self._count)
        self._refused[room.name, method] += 1

    def _count(self) -> None:
        rooms = Counter[str]()
        for (room, method), number in self._refused.items():
            rooms[room] += number
            self.count(method, self._status, number)
        log.warning("requests refused", seconds=_COUNTED_EVERY_S, **rooms)
        self._refused.clear()


def _encoded(headers: Mapping[str, str]) -> list[Header]:
    return [(name.lower().encode(), value.encode()) for name, value in headers.items()]


def _lines(headers: Iterable[Header]) -> bytes:
    return b"".join(b"%b: %b\r\n" % header for header in headers)
