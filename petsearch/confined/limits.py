"""The limits of a child process, which it sets itself before it reads a file.

Linux alone enforces the one of memory; elsewhere what is estimated beforehand alone guards it.
"""

import contextlib
import os
import resource
import signal
import sys
from pathlib import Path


def settle(niceness: int) -> None:
    """Give way to other processes, and end before them if the machine's memory runs out.

    Args:
        niceness: by how much to give way to the process that started this one.
    """
    signal.signal(signal.SIGPROF, signal.SIG_DFL)
    # A stop that signals the whole service leaves the end of this process to its parent.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform == "linux":
        # A thread of lower priority may have started it, which then counts once, not twice.
        wanted = os.getpriority(os.PRIO_PROCESS, os.getppid()) + niceness
        os.setpriority(os.PRIO_PROCESS, 0, max(wanted, os.getpriority(os.PRIO_PROCESS, 0)))
        # If memory runs out all the same, this process ends and not the one that serves.
        with contextlib.suppress(OSError):
            Path("/proc/self/oom_score_adj").write_text("1000")


def limit_time(seconds: float) -> None:
    """End this process, by SIGPROF, after so much more processor time; 0 sets no limit."""
    signal.setitimer(signal.ITIMER_PROF, seconds)


def data_bytes() -> int:
    """What RLIMIT_DATA counts: private memory that may be written, touched or not."""
    if sys.platform != "linux":
        return 0
    with open("/proc/self/statm", "rb", buffering=0) as sizes:  # noqa: PTH123  # of every photo
        return int(sizes.read(200).split()[5]) * resource.getpagesize()


def limit_memory(limit: int | None) -> None:
    """Let `data_bytes` grow to `limit` and no further.

    Not RLIMIT_AS, which also counts mapped files, libraries and what is set aside for threads.
    """
    if sys.platform == "linux":
        soft = resource.RLIM_INFINITY if limit is None else limit
        _, hard = resource.getrlimit(resource.RLIMIT_DATA)
        lower = soft if hard == resource.RLIM_INFINITY else min(soft, hard)
        resource.setrlimit(resource.RLIMIT_DATA, (lower, hard))
