"""Clients that send more than they read: what they hold of the process is bounded."""

import asyncio
import socket
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack
from functools import partial
from urllib.parse import urlsplit

import pytest
from fastapi import FastAPI, Response
from starlette.responses import StreamingResponse

from services.http import protocol, unread
from tests.app_server import served_app
from tests.waiting import wait_until

LARGE = 8_000_000
"""Bytes of an answer: more than the kernel's buffers take."""


class Calls:
    """What the application was asked, and what became of it."""

    def __init__(self) -> None:
        self.answered = 0
        self.cancelled = 0


@pytest.fixture
def calls() -> Calls:
    return Calls()


@pytest.fixture
def address(calls: Calls) -> Iterator[tuple[str, int]]:
    app = FastAPI()

    @app.get("/")
    async def answer() -> str:
        calls.answered += 1
        return "fine"

    @app.get("/large")
    async def large() -> Response:
        return Response(bytes(LARGE))

    @app.get("/stream")
    async def stream() -> StreamingResponse:
        async def lines() -> AsyncIterator[bytes]:
            try:
                while True:
                    yield b"data: now\n\n"
                    await asyncio.sleep(0.01)
            finally:
                calls.cancelled += 1

        return StreamingResponse(lines(), media_type="text/event-stream")

    with served_app(app, http=protocol.BoundedProtocol) as url:
        parts = urlsplit(url)
        assert parts.hostname and parts.port
        yield parts.hostname, parts.port


def asking(path: str = "/") -> bytes:
    return f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode()


def connect(address: tuple[str, int]) -> socket.socket:
    """A connection that takes little before it is read."""
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    connection.settimeout(30)
    connection.connect(address)
    return connection


def is_open(connection: socket.socket) -> bool:
    """Whether all of an answer can still be read; reads it."""
    left = LARGE
    try:
        while left > 0 and (got := connection.recv(1 << 20)):
            left -= len(got)
    except ConnectionError:
        return False
    return left <= 0


def test_requests_that_are_sent_ahead_are_answered_in_their_turn(
    address: tuple[str, int], calls: Calls
) -> None:
    with socket.create_connection(address, 30) as connection:
        connection.sendall(asking() * protocol.MOST_WAITING)
        got = b""
        while got.count(b"HTTP/1.1 200 ") < protocol.MOST_WAITING:
            got += connection.recv(65536)
    assert calls.answered == protocol.MOST_WAITING


def test_more_of_them_end_the_connection(address: tuple[str, int], calls: Calls) -> None:
    with socket.create_connection(address, 30) as connection:
        connection.sendall(asking() * 5000)
        try:
            while connection.recv(65536):
                pass
        except ConnectionError:
            pass
    assert calls.answered <= protocol.MOST_WAITING


def test_a_stream_ends_with_its_connection_whatever_was_sent_behind_it(
    address: tuple[str, int], calls: Calls
) -> None:
    with socket.create_connection(address, 30) as connection:
        connection.sendall(asking("/stream") + asking())
        assert connection.recv(65536).startswith(b"HTTP/1.1 200 ")
    wait_until(lambda: calls.cancelled == 1)
    assert calls.answered == 0


def test_who_reads_steadily_gets_an_answer_however_many_windows_it_takes(
    address: tuple[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The kernel holds megabytes, of which the server sees nothing leave for many windows."""
    monkeypatch.setattr(protocol, "READ_WINDOW_S", 0.5)
    monkeypatch.setattr(protocol, "LEAST_BYTES_PER_S", 100_000)
    left = LARGE
    with connect(address) as connection:
        connection.sendall(asking("/large"))
        began = time.monotonic()
        while time.monotonic() < began + 4:
            left -= len(connection.recv(20_000))
            time.sleep(0.02)  # up to a million bytes a second
        assert left > LARGE // 4, "it was read at once"
        while left > 0 and (got := connection.recv(1 << 20)):
            left -= len(got)
    assert left <= 0


def test_an_answer_that_is_not_read_is_not_kept(
    address: tuple[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    with connect(address) as patient:
        patient.sendall(asking("/large"))
        assert is_open(patient), "who reads gets it, however large it is"
    monkeypatch.setattr(protocol, "READ_WINDOW_S", 0.2)
    with connect(address) as connection:
        connection.sendall(asking("/large"))
        wait_until(lambda: not unread.UNREAD.count() and _was_cut_off(connection))
        assert not is_open(connection)


def _was_cut_off(connection: socket.socket) -> bool:
    return connection.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) != 0


def test_who_has_not_read_for_longest_gives_way(
    address: tuple[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unread, "UNREAD_BYTES", LARGE)  # the kernel holds a part of each answer
    with ExitStack() as opened:
        connections = [opened.enter_context(connect(address)) for _ in range(3)]
        for before, connection in zip([None, *connections], connections, strict=False):
            connection.sendall(asking("/large"))
            wait_until(lambda: unread.UNREAD.count() == 1)
            if before is not None:
                wait_until(partial(_was_cut_off, before))
        assert is_open(connections[-1])
    wait_until(lambda: not unread.UNREAD.count())
