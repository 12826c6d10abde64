"""Process-wide settings for fast inference on CPUs, made before torch is imported.

On 2 cores, MobileNetV2 at batch 16 embeds 1.5 times as many photos per second with them
(`python -m bench.decisions.process_tuning`). Beside another busy process, short spinning kept a
text encode at 1 ms where the default took 190 ms (ADR 4).
"""

import ctypes
import gc
import math
import os
import resource
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

# glibc's mallopt parameters, from malloc.h.
_M_TRIM_THRESHOLD = -1
_M_MMAP_THRESHOLD = -3
_M_ARENA_MAX = -8
_GIVE_BACK_BYTES = 4 << 20
TRIM_EVERY_S = 30.0
_OPEN_FILES = 65_536


def tune_process() -> None:
    """Configure OpenMP, oneDNN and glibc's allocator; call it before torch is imported.

    What the environment sets is not changed.
    """
    # Spinning OpenMP threads take cores from the decoding of photos. libgomp reads this when it is
    # loaded, which is when torch is imported.
    if not {"OMP_WAIT_POLICY", "GOMP_SPINCOUNT"} & os.environ.keys():
        os.environ["GOMP_SPINCOUNT"] = "10000"
    # libgomp starts a thread for every core, however little of them a container may use: the
    # kernel then stops all of them for most of the time, in the middle of a layer.
    if (cores := usable_cores()) < (os.cpu_count() or 1):
        os.environ.setdefault("OMP_NUM_THREADS", str(cores))
    # oneDNN caches a primitive for each size of a batch. The default of 1024 fills slowly, and its
    # entries fragment the heap between activations: encoding batches of 1 to 64 three times took
    # 264 MB more resident memory, with 64 entries 138 MB, and the same processor time.
    os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "128")
    # By default glibc returns activations to the kernel after every layer, which maps, zeroes and
    # unmaps them each time. The heaps of other arenas are too small for such blocks. This costs
    # some 10 % more resident memory.
    kept = 1 << 30
    _set_malloc_options({_M_MMAP_THRESHOLD: kept, _M_TRIM_THRESHOLD: kept, _M_ARENA_MAX: 1})


def usable_cores(groups: Path = Path("/sys/fs/cgroup"), own: str | None = None) -> int:
    """Return how many cores this process may use: those it is bound to, or its containers' limit.

    A limit of 1.5 cores counts as 2.

    Args:
        groups: where the kernel shows the control groups.
        own: the group of this process, below `groups`.
    """
    if not sys.platform.startswith("linux"):
        return os.cpu_count() or 1
    path = Path(_own_group() if own is None else own)
    quotas = [_quota(groups / folder / "cpu.max") for folder in (path, *path.parents)]
    # Version 1, as a container sees it, where its own group is the topmost.
    quotas.append(_quota(groups / "cpu/cpu.cfs_quota_us", groups / "cpu/cpu.cfs_period_us"))
    return min([len(os.sched_getaffinity(0)), *(cores for cores in quotas if cores)])


def _own_group() -> str:
    with suppress(OSError):
        for line in Path("/proc/self/cgroup").read_text().splitlines():
            if line.startswith("0::"):
                return line.removeprefix("0::/")
    return ""


def _quota(*files: Path) -> int:
    """Cores, rounded up, of a time of the processor and the period that it is for; 0: no limit."""
    with suppress(OSError, ValueError):
        quota, period = " ".join(file.read_text() for file in files).split()
        return max(0, math.ceil(int(quota) / int(period)))
    return 0


def allow_open_files() -> None:
    """Raise the limit of open files to what the process may have.

    Every connection is one, and so is every larger file of a form. The usual limit of 1024 is for
    programs that use `select`; none here does.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = _OPEN_FILES if hard == resource.RLIM_INFINITY else min(hard, _OPEN_FILES)
    if soft != resource.RLIM_INFINITY and soft < most:
        with suppress(ValueError, OSError):  # macOS says "unlimited", and allows fewer
            resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))


def return_freed_memory() -> None:
    """Return freed memory to the kernel at once, for a process that decodes images without a model.

    By default glibc starts to keep blocks of up to 32 MB per thread after the first large image:
    a worker with four decoding threads used 100 MB more than it needed. Two arenas instead of one
    per thread save another 20 MB (`make bench-memory`).
    """
    _set_malloc_options(
        {
            _M_MMAP_THRESHOLD: _GIVE_BACK_BYTES,
            _M_TRIM_THRESHOLD: _GIVE_BACK_BYTES,
            _M_ARENA_MAX: 2,
        }
    )


@contextmanager
def trimmed_memory(every_s: float = TRIM_EVERY_S) -> Iterator[None]:
    """Return unused memory to the kernel periodically, in a process that keeps freed memory.

    Kept memory would grow to the need of the rarest mixture of batches. Memory that is used again
    at once costs some milliseconds each time. Without effect if malloc cannot trim.
    """
    stopping = threading.Event()

    def trim() -> None:
        while not stopping.wait(every_s):
            ctypes.CDLL(None).malloc_trim(0)

    if sys.platform.startswith("linux") and hasattr(ctypes.CDLL(None), "malloc_trim"):
        threading.Thread(target=trim, name="trim", daemon=True).start()
    try:
        yield
    finally:
        stopping.set()


@contextmanager
def startup_without_gc() -> Iterator[None]:
    """Exclude the objects that a process creates at its start from garbage collection.

    A start creates millions of objects that live as long as the process. Collections during the
    start free next to nothing, and every later one would traverse them while requests wait.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
    gc.freeze()


def _set_malloc_options(parameters: dict[int, int]) -> None:
    if not sys.platform.startswith("linux") or "MALLOC_ARENA_MAX" in os.environ:
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # musl has none
    if mallopt is None:
        return
    for parameter, value in parameters.items():
        mallopt(parameter, value)


def lower_thread_priority() -> None:
    """Lower the priority of this thread below the model's, where threads have one (Linux).

    All OpenMP threads wait at the end of every layer for the one whose core a decoder takes.
    Decoding in the gaps costs the model nothing.
    """
    if sys.platform.startswith("linux"):
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), 10)
