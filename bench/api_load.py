"""A lean HTTP client for load tests: requests are prepared, responses are read and counted.

It shares the cores with the server, so it does as little as possible.
"""

import socket
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass

_END_OF_HEAD = b"\r\n\r\n"
_LENGTH = b"content-length: "


@dataclass(frozen=True)
class Load:
    """The timings of a round of requests."""

    wall_s: float
    latencies_ms: list[float]


def ask_all(port: int, paths: Sequence[str], *, connections: int) -> Load:
    """GET every path once, over so many connections at a time.

    Raises:
        RuntimeError: an answer was not 200.
    """
    latencies: list[list[float]] = [[] for _ in range(connections)]
    failures: list[Exception] = []

    def ask(number: int) -> None:
        try:
            latencies[number] = _ask(port, paths[number::connections])
        except (OSError, RuntimeError) as error:
            failures.append(error)

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(connections)]
    started = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    wall_s = time.perf_counter() - started
    if failures:
        raise RuntimeError(f"the API failed: {failures[0]}")
    return Load(wall_s, [latency for part in latencies for latency in part])


def _ask(port: int, paths: Sequence[str]) -> list[float]:
    requests = [f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode() for path in paths]
    latencies = []
    with socket.create_connection(("127.0.0.1", port), 60) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for request in requests:
            started = time.perf_counter()
            connection.sendall(request)
            _read_answer(connection)
            latencies.append((time.perf_counter() - started) * 1e3)
    return latencies


def _read_answer(connection: socket.socket) -> None:
    received = b""
    while _END_OF_HEAD not in received:
        received += _receive(connection)
    head, _, body = received.partition(_END_OF_HEAD)
    if not head.startswith(b"HTTP/1.1 200 "):
        raise RuntimeError(f"{head.splitlines()[0].decode()}: {body[:200].decode()}")
    start = head.lower().index(_LENGTH) + len(_LENGTH)
    missing = int(head[start:].split(b"\r\n", 1)[0]) - len(body)
    while missing > 0:
        missing -= len(_receive(connection))


def _receive(connection: socket.socket) -> bytes:
    data = connection.recv(1 << 18)
    if not data:
        raise RuntimeError("the server closed the connection")
    return data
