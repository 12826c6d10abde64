"""How many bytes of bodies a service holds at once, over all its requests."""

import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Annotated
from urllib.parse import urlsplit

import httpx
import pytest
from fastapi import Body, FastAPI
from starlette.concurrency import run_in_threadpool

from services.http.body_limit import BodyLimit
from services.http.problems import add_problem_handlers
from tests.app_server import served_app

MOST, MOST_HELD = 1000, 1500


@dataclass
class Gate:
    """A service that answers once it is open, and says when a request waits there."""

    url: str = ""
    opened: threading.Event = field(default_factory=threading.Event)
    reached: threading.Event = field(default_factory=threading.Event)

    def pass_through(self) -> None:
        """Wait until it is open."""
        self.reached.set()
        assert self.opened.wait(30)

    def post(self, size: int) -> httpx.Response:
        """Send so many bytes, whose number is said before."""
        return httpx.post(self.url, content=b"x" * size, timeout=30)

    def post_in_chunks(self, size: int) -> httpx.Response:
        """Send so many bytes, of which the service learns as they come."""
        return httpx.post(self.url, content=(b"x" * 100 for _ in range(size // 100)), timeout=30)


@pytest.fixture
def gate() -> Iterator[Gate]:
    app, gate = FastAPI(), Gate()

    @app.post("/")
    @app.post("/small")
    async def size(data: Annotated[bytes, Body(media_type="application/octet-stream")]) -> int:
        await run_in_threadpool(gate.pass_through)
        return len(data)

    add_problem_handlers(app)
    app.add_middleware(
        BodyLimit,
        max_bytes_of=lambda scope: 10 if scope["path"] == "/small" else MOST,
        max_held_bytes=MOST_HELD,
        window_s=0.5,
    )
    with served_app(app) as url:
        gate.url = url
        yield gate
        gate.opened.set()


def test_bodies_that_are_held_together_are_bounded(gate: Gate) -> None:
    with ThreadPoolExecutor(2) as pool:
        held = pool.submit(gate.post, 900)
        assert gate.reached.wait(30)
        for refused in (gate.post(700), gate.post_in_chunks(700)):
            assert refused.status_code == 429
            assert refused.headers["retry-after"] == "1"
            assert "large requests" in refused.json()["detail"]
        gate.reached.clear()
        small = pool.submit(gate.post, 500)
        assert gate.reached.wait(30), "what fits beside it is let in"
        gate.opened.set()
        assert held.result(30).json() == 900
        assert small.result(30).json() == 500


def test_what_was_answered_or_refused_is_held_no_more(gate: Gate) -> None:
    gate.opened.set()
    for _ in range(5):
        assert gate.post_in_chunks(900).json() == 900
        assert gate.post_in_chunks(1100).status_code == 413
        assert gate.post(1200).status_code == 413
    with ThreadPoolExecutor(1) as pool:
        gate.opened.clear()
        gate.reached.clear()
        held = pool.submit(gate.post, 1000)
        assert gate.reached.wait(30)
        assert gate.post(600).status_code == 429
        gate.opened.set()
        assert held.result(30).json() == 1000
    assert gate.post(1000).json() == 1000


def test_a_body_that_stalls_is_given_up(gate: Gate) -> None:
    gate.opened.set()
    parts = urlsplit(gate.url)
    head = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n"
    with socket.create_connection((parts.hostname, parts.port), 20) as connection:
        connection.sendall(head + b"x" * 900)
        answer = b"".join(iter(lambda: connection.recv(65536), b""))
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b"slower than 8 KB/s" in answer
    assert gate.post(1000).json() == 1000, "and is held no more"


def test_an_application_may_take_longer_than_a_window(gate: Gate) -> None:
    with ThreadPoolExecutor(1) as pool:
        slow = pool.submit(gate.post, 900)
        assert gate.reached.wait(30)
        threading.Event().wait(0.8)  # longer than the window: what the application does is no wait
        gate.opened.set()
        assert slow.result(30).json() == 900


def test_a_path_may_have_a_limit_of_its_own(gate: Gate) -> None:
    gate.opened.set()
    assert httpx.post(f"{gate.url}/small", content=b"x" * 11).status_code == 413
    assert httpx.post(f"{gate.url}/small", content=b"x" * 10).json() == 10
    assert gate.post(11).json() == 11
