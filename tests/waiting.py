"""Threads beside a test, and waiting for what they bring about."""

import threading
import time
from collections.abc import Callable

_PATIENCE_S = 60.0


def in_thread(call: Callable[[], None]) -> threading.Thread:
    """Run `call` beside the test; it is joined by the test."""
    thread = threading.Thread(target=call)
    thread.start()
    return thread


def wait_until(condition: Callable[[], bool], pause_s: float = 0.01) -> None:
    """Ask until something holds that somebody else brings about."""
    deadline = time.monotonic() + _PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, "it never came"
        time.sleep(pause_s)
