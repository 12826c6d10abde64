"""Refuses requests whose room is full, before the application sees them.

Under ten times the load that a server can bear, nine tenths of its requests end here. So they pass
no layer of the application, their response is prepared, and they are logged by their number.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus

from starlette.datastructures import Headers
from starlette.types import Scope

from petsearch.observability import get_logger
from services.http.admission import Room, RoomOf, approach, body_bytes, overloaded
from services.http.draining import Draining
from services.http.middleware import HSTS, request_id, security_headers
from services.http.problems import problem_of

log = get_logger(__name__)

_LOGGED_EVERY_S = 1.0
_READ_BYTES = 256 * 1024
"""A refused body of at most so many bytes is read and dropped, which costs less than to connect."""
_ID = "<id>"

Header = tuple[bytes, bytes]


@dataclass(frozen=True)
class Refusal:
    """A response as it is sent, and whether the connection ends with it."""

    data: bytes
    closes: bool


def _as_it_is(scope: Scope) -> Scope:
    return scope


def _no_headers(_origin: str) -> Mapping[str, str]:
    return {}


def _uncounted(_method: str, _status: int) -> None:
    """Where no metrics are asked for."""


def _untold() -> None:
    """Where nothing else is done in the process."""


@dataclass(eq=False)
class FullRooms:
    """Asked by `BoundedProtocol`, as `app.state.full_rooms`, before it calls the application."""

    room_of: RoomOf
    as_sent: Callable[[Scope], Scope] = _as_it_is
    """The scope that a client's request has behind proxies."""
    headers: Mapping[str, str] = field(default_factory=security_headers)
    """Those of every response."""
    cors_headers_of: Callable[[str], Mapping[str, str]] = _no_headers
    """Those of a response to a page of an origin."""
    count: Callable[[str, int], None] = _uncounted
    """Called with the method and the status of each refusal."""
    tell: Callable[[], None] = _untold
    """Called for each refusal."""
    draining: Draining = field(default_factory=Draining)

    def __post_init__(self) -> None:
        response = problem_of(overloaded(), _ID)
        self._status = response.status_code
        self._body = bytes(response.body).split(_ID.encode())
        status_line = f"HTTP/1.1 {self._status} {HTTPStatus(self._status).phrase}\r\n".encode()
        of_problem = [one for one in response.raw_headers if one[0] != b"content-length"]
        self._head = status_line + _lines(_encoded(self.headers)) + _lines(of_problem)
        self._refused = Counter[str]()

    def approach(
        self, scope: Scope, default_headers: Iterable[Header], *, keeps: bool
    ) -> Refusal | None:
        """Let a request come near its room, or refuse it.

        `end_approach` is called for one that was let through, at the latest when it is answered.

        Args:
            default_headers: the server's own.
            keeps: the connection may take another request.
        """
        sent = self.as_sent(scope)
        if (room := self.room_of(sent)) is None:
            return None
        if not room.is_full:
            approach(room, scope)
            return None
        self._log_soon(room)
        self.count(scope["method"], self._status)
        self.tell()
        closes = not keeps or self.draining.has_begun or body_bytes(scope) > _READ_BYTES
        own = [(b"connection", b"close"), *default_headers] if closes else default_headers
        return Refusal(self._response(sent, own), closes)

    def _response(self, scope: Scope, own: Iterable[Header]) -> bytes:
        """As it is sent, with the server's own headers."""
        given = request_id(scope).encode()
        body = given.join(self._body)
        more = {"content-length": str(len(body))}
        if (origin := Headers(scope=scope).get("origin")) is not None:
            more |= self.cors_headers_of(origin)
        if scope["scheme"] == "https":
            more["strict-transport-security"] = HSTS
        lines = _lines([*own, (b"x-request-id", given), *_encoded(more)])
        head = self._head + lines + b"\r\n"
        return head if scope["method"] == "HEAD" else head + body

    def _log_soon(self, room: Room) -> None:
        if not self._refused:
            asyncio.get_running_loop().call_later(_LOGGED_EVERY_S, self._log)
        self._refused[room.name] += 1

    def _log(self) -> None:
        log.warning("requests refused", seconds=_LOGGED_EVERY_S, **self._refused)
        self._refused.clear()


def _encoded(headers: Mapping[str, str]) -> list[Header]:
    return [(name.lower().encode(), value.encode()) for name, value in headers.items()]


def _lines(headers: Iterable[Header]) -> bytes:
    return b"".join(b"%b: %b\r\n" % header for header in headers)
