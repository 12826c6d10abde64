"""Memory and time of processes and of those that they start, seen from outside (Linux)."""

import ctypes
import os
import platform
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

_LIBC = ctypes.CDLL(None)
_KCMP = {"x86_64": 312, "aarch64": 272}
"""The number of the system call by machine; it has no function in libc."""
_KCMP_VM = 1


def tree(pid: int) -> Iterator[int]:
    """A process and all that it started, and those started in turn."""
    yield pid
    with suppress(OSError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            for child in (task / "children").read_text().split():
                yield from tree(int(child))


def address_spaces(pids: Sequence[int]) -> list[int]:
    """One process for each address space of these processes and those they started.

    A child between vfork and exec is its parent's memory, not shared pages of it: PSS would count
    it twice.
    """
    found = list[int]()
    for each in (each for pid in pids for each in tree(pid)):
        if not any(_is_same_memory(each, other) for other in found):
            found.append(each)
    return found


def resident_bytes(pids: Sequence[int]) -> int:
    """Memory that these processes and those they started hold, shared pages counted once (PSS)."""
    return sum(map(pss_bytes, address_spaces(pids)))


def pss_bytes(pid: int) -> int:
    """Of one process; 0 if it has ended."""
    with suppress(OSError):
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    return 0


def _is_same_memory(pid: int, other: int) -> bool:
    """Whether two processes have one address space (kcmp, Linux)."""
    number = _KCMP.get(platform.machine())
    return number is not None and _LIBC.syscall(number, pid, other, _KCMP_VM, 0, 0) == 0


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
def watched(pids: Sequence[int], period_s: float = 0.02) -> Iterator[list[int]]:
    """A list that holds the most memory of processes, in bytes, once the block has ended.

    Each look takes milliseconds of processor time.
    """
    found, ended = [resident_bytes(pids)], threading.Event()

    def look() -> None:
        while not ended.wait(period_s):
            found[0] = max(found[0], resident_bytes(pids))

    thread = threading.Thread(target=look, daemon=True)
    thread.start()
    try:
        yield found
    finally:
        ended.set()
        thread.join()
        found[0] = max(found[0], resident_bytes(pids))
