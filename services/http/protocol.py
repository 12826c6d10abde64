"""uvicorn's HTTP protocol with limits on what of a request is no body: its size and its time."""

import asyncio
from http import HTTPStatus
from typing import Any, cast

import httptools
from starlette.types import Scope
from uvicorn._types import ASGI3Application
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from services.http.admission import end_approach
from services.http.body_limit import LEAST_BYTES_PER_S, WINDOW_S
from services.http.full_rooms import FullRooms
from services.http.problems import problem
from services.http.unread import UNREAD, cut_off, unread_bytes

HEAD_BYTES = 64 * 1024
"""Of a request line and its headers together, and of what comes between two parts of a body."""
HEADER_BYTES = 8 * 1024
HEADERS = 100
_LARGE_HEAD = (
    f"The request's headers are too large: at most {HEADERS}, of {HEADER_BYTES // 1024} KB each "
    f"and {HEAD_BYTES // 1024} KB together."
)
_NO_REQUEST = (
    "This is not a valid HTTP/1.1 request. Percent-encode spaces, and characters beyond ASCII, in "
    "the address; end lines with CR LF; send one Content-Length, or Transfer-Encoding."
)
_REFUSED = {"Connection": "close", "Cache-Control": "no-store"}
_LINGER_S = 2.0
HEAD_S = 10.0
"""From the connection, or from a request's first byte, to the end of its headers."""
READ_WINDOW_S = 60.0
"""Of an answer that is read more slowly than it is made. The other side's system acknowledges in
steps of many kilobytes."""
MOST_WAITING = 100
"""Requests of a connection that wait behind the one that is being answered."""


if not hasattr(HttpToolsProtocol, "_start_asgi_task"):
    # It would never be called, and no full room would refuse anything here.
    raise ImportError("This version of uvicorn is not supported: see the bounds in pyproject.toml.")


class BoundedProtocol(HttpToolsProtocol):
    """Closes connections whose request line and headers are too large or too slow, and those whose
    body still comes when it has its response, and comes slower than `BodyLimit` allows.

    It also closes those that read their answers as slowly, and those that send more than
    `MOST_WAITING` requests ahead. Where unread answers hold too much together, those that have been
    slow for longest are closed (`services/http/unread.py`).

    Trailers, the headers after a chunked body, are dropped: nothing reads them, and uvicorn would
    add them to the headers that were checked.

    Requests whose room is full, by the application's `state.full_rooms`, get their response here.

    Other protocols, which `Upgrade` asks for, are not spoken: the header is passed over, as
    RFC 9110 (section 7.8) allows, and the request is read like any other. The parser takes its body
    for the other protocol, and uvicorn for the next request, which nobody in front has seen.

    Used by `petsearch serve` and by `uvicorn --http services.http.protocol:BoundedProtocol`.
    """

    _is_parsing = False
    """While what came is read; `_watch` follows."""
    _is_in_head = False
    """From the connection, or from a request's first byte, to the end of its headers."""
    _head_bytes = 0
    _bytes_between = 0
    """What came since the last part of a body: sizes of chunks, their extensions, trailers."""
    _head_timer: asyncio.TimerHandle | None = None
    _rest_bytes = 0
    """What came of a body since `_rest_timer` was set."""
    _rest_timer: asyncio.TimerHandle | None = None
    """While the rest of a body comes whose request has its response."""
    _has_whole_request = True
    _read_timer: asyncio.TimerHandle | None = None
    """While the client reads slower than answers are made."""
    _unread_bytes = 0
    """What it had not read when `_read_timer` was set."""
    _running: RequestResponseCycle | None = None
    """The request that is being answered; `cycle` is the last that came."""
    _is_refused = False
    """It ends with a response that is sent, and what still comes is dropped."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._full_rooms = _full_rooms_of(self.app)

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        transport.set_write_buffer_limits(high=0)  # whatever the kernel does not take is timed
        super().connection_made(transport)
        self._begin_head()
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        self._end_head()
        self._end_rest()
        self._end_reading()
        self.pipeline.clear()
        self._abandon_running()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._is_refused:
            return
        if self._is_in_head:
            self._head_bytes += len(data)
        self._bytes_between += len(data)
        self._is_parsing = True
        self._parse(data)
        self._is_parsing = False
        # httptools keeps an unfinished header in memory, however long it is.
        if self._is_in_head and self._head_bytes > HEAD_BYTES:
            self._refuse(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, _LARGE_HEAD)
        # An endless trailer is kept in memory too. The response may have begun: no other is sent.
        elif not self._is_in_head and self._bytes_between > HEAD_BYTES:
            self.transport.close()
        self._watch()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._has_whole_request = False
        if not self._is_in_head:
            self._begin_head()

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._is_in_head:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        if self._is_refused or self.parser.should_upgrade():
            return
        if len(self.pipeline) >= MOST_WAITING:
            self._is_refused = True
            self.pipeline.clear()
            self.transport.close()
            raise httptools.HttpParserError("too many requests wait")
        sizes = [len(name) + len(value) for name, value in self.headers]
        is_large = sum(sizes) + len(self.url) > HEAD_BYTES
        if is_large or len(sizes) > HEADERS or max(sizes, default=0) > HEADER_BYTES:
            self._refuse(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, _LARGE_HEAD)
            return
        self._end_head()
        self._bytes_between = 0
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self._bytes_between = 0
        self._rest_bytes += len(body)
        if not self._is_refused:
            super().on_body(body)

    def on_message_complete(self) -> None:
        if self.parser.should_upgrade():
            return
        self._bytes_between = 0
        self._has_whole_request = True
        self._end_rest()
        if not self._is_refused:
            super().on_message_complete()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        # uvicorn reads on with each response, however many requests wait.
        if self.pipeline and not self.transport.is_closing():
            self.flow.pause_reading()
        if not self._is_parsing:
            self._watch()

    def pause_writing(self) -> None:
        super().pause_writing()
        if not self.transport.is_closing():
            self.flow.pause_reading()
        UNREAD.add(self.transport)
        self._expect_reading()

    def resume_writing(self) -> None:
        super().resume_writing()
        self._end_reading()
        if not self.pipeline and not self.transport.is_closing():
            self.flow.resume_reading()

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: ASGI3Application) -> None:
        self._running = cycle
        if app is not self.app or self._full_rooms is None:
            super()._start_asgi_task(cycle, app)
            return
        scope = cast(Scope, cycle.scope)
        keeps = cycle.keep_alive
        refusal = self._full_rooms.approach(scope, cycle.default_headers, keeps=keeps)
        if refusal is None:
            super()._start_asgi_task(cycle, self._call_app)
            return
        cycle.response_started = cycle.response_complete = True
        self.transport.write(refusal.data)
        if refusal.closes:
            self._end_writing()
        elif self.pipeline:
            # Not at once, or as many calls would be nested as there are requests that wait.
            self.loop.call_soon(cycle.on_response)
        else:
            cycle.on_response()

    def _parse(self, data: bytes) -> None:
        self._unset_keepalive_if_required()
        pieces: list[bytes | memoryview] = [memoryview(data)]
        try:
            while pieces:
                piece = pieces.pop(0)
                try:
                    self.parser.feed_data(piece)
                except httptools.HttpParserUpgrade as upgrade:
                    pieces = [self._begin_without_upgrade(), piece[upgrade.args[0] :]]
        except httptools.HttpParserError:
            if self._is_refused:
                return
            self.logger.warning("Invalid HTTP request received.")
            self._refuse(HTTPStatus.BAD_REQUEST, _NO_REQUEST)

    def _begin_without_upgrade(self) -> bytes:
        """The head that the parser has stopped behind, for one that has seen nothing of it."""
        method, version = self.parser.get_method(), self.parser.get_http_version().encode()
        if method == b"CONNECT":  # for which it always stops
            raise httptools.HttpParserInvalidMethodError("CONNECT is for proxies")
        self.parser = httptools.HttpRequestParser(self)
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)  # as uvicorn does
        kept = (header for header in self.headers if header[0] != b"upgrade")
        lines = b"".join(b"%b: %b\r\n" % header for header in kept)
        return b"%b %b HTTP/%b\r\n%b\r\n" % (method, self.url, version, lines)

    async def _call_app(self, scope: Any, receive: Any, send: Any) -> None:
        try:
            await self.app(scope, receive, send)
        finally:
            end_approach(scope)

    def _watch(self) -> None:
        """Time what has not come whole; most requests come at once, and need no timer."""
        if self._is_in_head and self._head_timer is None:
            self._head_timer = self.loop.call_later(HEAD_S, self.transport.close)
        if self._is_in_head or self._has_whole_request or self._rest_timer is not None:
            return
        # Nobody reads the rest, as after a 401, so nobody else sees that it does not end.
        if self.cycle is not None and self.cycle.response_complete:
            self._expect_rest()

    def _expect_rest(self) -> None:
        self._rest_bytes = 0
        self._rest_timer = self.loop.call_later(WINDOW_S, self._check_rest)

    def _check_rest(self) -> None:
        if self._rest_bytes < LEAST_BYTES_PER_S * WINDOW_S:
            self.transport.close()
        else:
            self._expect_rest()

    def _end_rest(self) -> None:
        if self._rest_timer is not None:
            self._rest_timer.cancel()
            self._rest_timer = None

    def _expect_reading(self) -> None:
        self._unread_bytes = unread_bytes(self.transport)
        self._read_timer = self.loop.call_later(READ_WINDOW_S, self._check_reading)

    def _check_reading(self) -> None:
        read = self._unread_bytes - unread_bytes(self.transport)
        if read < LEAST_BYTES_PER_S * READ_WINDOW_S:
            cut_off(self.transport)
        else:
            self._expect_reading()

    def _end_reading(self) -> None:
        UNREAD.remove(self.transport)
        if self._read_timer is not None:
            self._read_timer.cancel()
            self._read_timer = None

    def _begin_head(self) -> None:
        self._is_in_head = True
        self._head_bytes = 0

    def _end_head(self) -> None:
        self._is_in_head = False
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _refuse(self, status: HTTPStatus, detail: str) -> None:
        """Answer what the application is not asked, and read no more."""
        self._end_head()
        self.pipeline.clear()
        running = self._running
        self._abandon_running()
        if running is not None and running.response_started and not running.response_complete:
            self._is_refused = True
            self.transport.close()  # in the middle of a response no other begins
            return
        refusal = problem(status, detail, "", _REFUSED)
        headers = b"".join(b"%b: %b\r\n" % header for header in refusal.raw_headers)
        line = f"HTTP/1.1 {status} {status.phrase}\r\n".encode()
        self.transport.write(b"%b%b\r\n%b" % (line, headers, bytes(refusal.body)))
        self._end_writing()

    def _abandon_running(self) -> None:
        """Tell the request that is being answered that nobody waits for it."""
        if self._running is not None and not self._running.response_complete:
            self._running.disconnected = True
            self._running.message_event.set()

    def _end_writing(self) -> None:
        """Close the connection once the client has read what was sent.

        Closing at once, while the client still sends, would reset the connection before that.
        """
        self._is_refused = True
        if self.transport.can_write_eof():
            self.transport.write_eof()
        self.loop.call_later(_LINGER_S, self.transport.close)


def _full_rooms_of(app: object) -> FullRooms | None:
    """Those of an application, also behind what uvicorn wraps it in."""
    while app is not None and not hasattr(app, "state"):
        app = getattr(app, "app", None)
    return getattr(getattr(app, "state", None), "full_rooms", None)
