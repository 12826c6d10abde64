"""Ports of loopback: free ones, and checks whether a server answers."""

import contextlib
import socket
from collections.abc import Callable

import httpx

Answers = Callable[[], bool]


def free_port() -> int:
    """A free TCP port of loopback."""
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


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
