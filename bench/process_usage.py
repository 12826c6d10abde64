"""Memory and time of processes and of those that they start, seen from outside (Linux)."""

import os
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

_PERIOD_S = 0.02


def tree(pid: int) -> Iterator[int]:
    """A process and all that it started, and those started in turn."""
    yield pid
    with suppress(OSError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            for child in (task / "children").read_text().split():
                yield from tree(int(child))


def resident_bytes(pids: Sequence[int]) -> int:
    """Memory that these processes and those they started hold, shared pages counted once (PSS).

    A process that was just forked shares all of its parent's, which is no memory of its own.
    """
    return sum(pss_bytes(each) for pid in pids for each in tree(pid))


def pss_bytes(pid: int) -> int:
    """Of one process; 0 if it has ended."""
    with suppress(OSError):
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    return 0


def cpu_s(pids: Sequence[int]) -> float:
    """Processor time that these processes and those they started have used, ended ones included."""
    ticks = 0
    for pid in pids:
        for number, each in enumerate(tree(pid)):
            with suppress(OSError):
                fields = Path(f"/proc/{each}/stat").read_text().rpartition(")")[2].split()
                # Of itself, and of children whose end it has seen.
                ticks += sum(map(int, fields[11 : 13 if number else 15]))
    return ticks / os.sysconf("SC_CLK_TCK")


@contextmanager
def watched(pids: Sequence[int]) -> Iterator[list[int]]:
    """A list that holds the most memory of processes, in bytes, once the block has ended."""
    found, ended = [resident_bytes(pids)], threading.Event()

    def look() -> None:
        while not ended.wait(_PERIOD_S):
            found[0] = max(found[0], resident_bytes(pids))

    thread = threading.Thread(target=look, daemon=True)
    thread.start()
    try:
        yield found
    finally:
        ended.set()
        thread.join()
        found[0] = max(found[0], resident_bytes(pids))
