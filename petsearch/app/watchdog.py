"""Ends a process whose work does not move, so that whatever restarts processes helps."""

import os
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from petsearch.observability import get_logger
from petsearch.ports.work_in_hand import Moves

log = get_logger(__name__)

EXIT_STALLED = 70
"""EX_SOFTWARE of sysexits.h."""
_TICKS = 10
_JUMP = _TICKS / 2


class StallCount:
    """Counts the looks at which work was found where it was before.

    Looks are counted and not seconds: while the process is paused nobody looks, so a pause is no
    stall. After a jump between two looks the count starts again.

    Args:
        stalled_s: how long work may stay where it is; ten looks of `tick_s`.
    """

    def __init__(self, stalled_s: float) -> None:
        self.tick_s = stalled_s / _TICKS
        self._looks: dict[tuple[str, int], int] = {}
        self._looked_at_s = -float("inf")

    def look(self, moves: Moves, now_s: float) -> list[str]:
        """Look at the work, `tick_s` after the last time; what has stalled."""
        jumped = now_s - self._looked_at_s > _JUMP * self.tick_s
        before = {} if jumped else self._looks
        self._looks = {move: before.get(move, 0) + 1 for move in moves.items()}
        self._looked_at_s = now_s
        return [what for (what, _), looks in self._looks.items() if looks > _TICKS]


def end_process(stalled: list[str], stalled_s: float) -> None:
    """Log what every thread is at, and end this process at once: it cannot end in order."""
    stacks = {
        str(number): "".join(traceback.format_stack(frame))
        for number, frame in sys._current_frames().items()
    }
    log.critical("work stalled; the process ends", work=stalled, stalled_s=stalled_s, stacks=stacks)
    os._exit(EXIT_STALLED)


@contextmanager
def watched(
    stalled_s: float,
    moves: Callable[[], Moves],
    end: Callable[[list[str], float], None] = end_process,
) -> Iterator[None]:
    """End the process if something in hand does not move for `stalled_s`; 0: never."""
    stopping, count = threading.Event(), StallCount(stalled_s)

    def watch() -> None:
        while not stopping.wait(count.tick_s):
            if stalled := count.look(moves(), time.monotonic()):
                end(stalled, stalled_s)

    if stalled_s:
        threading.Thread(target=watch, name="watchdog", daemon=True).start()
    try:
        yield
    finally:
        stopping.set()
