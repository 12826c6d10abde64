"""Ports of loopback: free ones, and checks whether a server answers."""

import contextlib
import random
import socket
from collections import deque
from collections.abc import Callable

import httpx

Answers = Callable[[], bool]


_PORTS = range(20_000, 32_768)
"""Below those of outgoing connections, one of which could take a port before its server does."""
_random = random.SystemRandom()
"""Tests seed the other one: processes would choose the same ports."""
_given: deque[int] = deque(maxlen=1000)
"""Ports of which the servers may not have started yet."""


def free_port() -> int:
    """A free TCP port of loopback, for a server that is started next; another one at each call."""
    while True:
        port = _random.choice(_PORTS)
        if port in _given:
            continue
        with contextlib.suppress(OSError), socket.socket() as taken:
            taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            taken.bind(("127.0.0.1", port))
            _given.append(port)
            return port


def answers_http(url: str) -> Answers:
    """A check: whether a GET of `url` succeeds."""

    def check() -> bool:
        with contextlib.suppress(httpx.HTTPError):
            return httpx.get(url, timeout=5, trust_env=False).is_success
        return False

    return check


def listens(port: int) -> Answers:
    """A check: whether a port of loopback accepts connections."""

    def check() -> bool:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return True
        return False

    return check
