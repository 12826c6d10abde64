"""Waits, at the start of a service, for the dependencies that it cannot start without."""

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn, TypeVar

from petsearch.domain.errors import Unavailable
from petsearch.observability import get_logger

log = get_logger(__name__)

_FIRST_PAUSE_S = 0.5
_LONGEST_PAUSE_S = 5.0

T = TypeVar("T")


def wait_until_available(attempt: Callable[[], T]) -> T:
    """What `attempt` returns, once it does not raise `Unavailable` any more. A signal ends it.

    Each reason is logged once.
    """
    pause_s, last_reason = _FIRST_PAUSE_S, ""
    with _ended_by_signals():
        while True:
            try:
                return attempt()
            except Unavailable as error:
                if error.detail != last_reason:
                    log.warning("waiting for a dependency before the start", reason=error.detail)
                last_reason = error.detail
            time.sleep(pause_s)
            pause_s = min(pause_s * 2, _LONGEST_PAUSE_S)


@contextmanager
def _ended_by_signals() -> Iterator[None]:
    # uvicorn's own handlers only take effect when the application was made.
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    signals = (signal.SIGINT, signal.SIGTERM)
    before = [signal.signal(number, exit_process) for number in signals]
    try:
        yield
    finally:
        for number, handler in zip(signals, before, strict=True):
            signal.signal(number, handler)


def exit_process(_number: int, _frame: FrameType | None) -> NoReturn:
    """Unwind what is open, and end with exit code 0; a signal handler."""
    raise SystemExit(0)
