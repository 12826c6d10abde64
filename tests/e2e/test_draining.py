"""A server that was told to stop: it answers on for a while, says so, and then ends."""

import os
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from devstack.addresses import answers_http, free_port
from devstack.parts import Part
from tests.processes import Process, Processes

PROGRAM = """
from contextlib import asynccontextmanager
from fastapi import FastAPI
import uvicorn
from services.http.draining import Draining, DrainingGuard

draining = Draining()

@asynccontextmanager
async def lifespan(app):
    with draining.on_signals({seconds}):
        yield

app = FastAPI(lifespan=lifespan)
app.add_middleware(DrainingGuard, draining=draining)
app.get("/readyz")(lambda: {{"status": "ok"}})
app.get("/answer")(lambda: 42)
uvicorn.run(app, host="127.0.0.1", port={port}, log_level="warning")
"""


@pytest.fixture
def processes(tmp_path: Path) -> Iterator[Processes]:
    with Processes(tmp_path) as opened:
        yield opened


def start(processes: Processes, seconds: float) -> tuple[Process, str]:
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    program = PROGRAM.format(seconds=seconds, port=port)
    command = (sys.executable, "-c", program)
    server = processes.add_part(Part("server", command, answers_http(f"{url}/readyz")))
    server.wait_until_up()
    return server, url


def send(server: Process, number: signal.Signals) -> None:
    os.kill(server.pid, number)


def until_draining(client: httpx.Client) -> httpx.Response:
    deadline = time.monotonic() + 30
    while True:
        answer = client.get("/readyz")
        if answer.status_code == 503:
            return answer
        assert time.monotonic() < deadline


def test_it_answers_on_not_ready_and_closes_connections(processes: Processes) -> None:
    server, url = start(processes, 3.0)
    with httpx.Client(base_url=url) as client:
        assert "connection" not in client.get("/answer").headers
        send(server, signal.SIGTERM)
        assert until_draining(client).json()["status"] == "draining"
        answer = client.get("/answer")
        assert (answer.status_code, answer.json()) == (200, 42)
        assert answer.headers["connection"] == "close"
    deadline = time.monotonic() + 30
    while server.is_alive:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{url}/answer")


def test_a_second_signal_ends_it_at_once(processes: Processes) -> None:
    server, url = start(processes, 600.0)
    with httpx.Client(base_url=url) as client:
        send(server, signal.SIGTERM)
        until_draining(client)
    send(server, signal.SIGTERM)
    deadline = time.monotonic() + 30
    while server.is_alive:
        assert time.monotonic() < deadline
        time.sleep(0.05)
