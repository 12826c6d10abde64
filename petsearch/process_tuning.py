"""Process-wide settings that make CPU inference fast. Imports nothing heavy; entry points call it.

On 2 cores, MobileNetV2 at batch 16 embeds 1.5 times as many photos per second with them
(`python -m bench.decisions.process_tuning`). Beside another busy process, short spinning kept a
text encode at 1 ms where the default took 190 ms (ADR 4).
"""

import ctypes
import gc
import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

# glibc's mallopt parameters, from malloc.h.
_M_TRIM_THRESHOLD = -1
_M_MMAP_THRESHOLD = -3
_M_ARENA_MAX = -8
_KEEP_BYTES = 1 << 30
_GIVE_BACK_BYTES = 4 << 20
_SPINS = "10000"
_KEPT_PRIMITIVES = "128"
TRIM_EVERY_S = 30.0


def tune_process() -> None:
    """Set OpenMP's waiting and glibc's allocator up; call it before torch is imported.

    What the environment says already is left alone.
    """
    _spin_briefly()
    _keep_few_primitives()
    _keep_freed_memory()


def _spin_briefly() -> None:
    """Let idle OpenMP threads soon sleep: spinning ones steal the cores that decode photos.

    libgomp reads the variable when it is loaded, which is when torch is imported.
    """
    if not {"OMP_WAIT_POLICY", "GOMP_SPINCOUNT"} & os.environ.keys():
        os.environ["GOMP_SPINCOUNT"] = _SPINS


def _keep_few_primitives() -> None:
    """Bound what oneDNN keeps compiled for each shape it has met; batches have every size.

    Its default of 1024 takes long to fill, and lies between the activations on the heap, which
    then cannot be used again: encoding batches of 1 to 64 three times over took 264 MB more
    resident memory, with 64 kept 138 MB, and the same processor time.
    """
    os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", _KEPT_PRIMITIVES)


def _keep_freed_memory() -> None:
    """Stop glibc from giving activations back to the kernel after every layer.

    Each would be mapped, zeroed page by page and unmapped again. One arena, because the heaps of
    other arenas are too small for such blocks. Costs some 10 % more resident memory.
    """
    _tell_malloc({_M_MMAP_THRESHOLD: _KEEP_BYTES, _M_TRIM_THRESHOLD: _KEEP_BYTES, _M_ARENA_MAX: 1})


def give_back_freed_memory() -> None:
    """Let a process that decodes pictures and runs no model give what it frees to the kernel.

    Otherwise glibc learns from the first large picture to keep blocks of up to 32 MB, for each
    thread apart: a worker with four decoding threads stayed 100 MB and more above its need. Two
    arenas instead of one a thread save 20 MB more (`make bench-memory`).
    """
    _tell_malloc(
        {
            _M_MMAP_THRESHOLD: _GIVE_BACK_BYTES,
            _M_TRIM_THRESHOLD: _GIVE_BACK_BYTES,
            _M_ARENA_MAX: 2,
        }
    )


class MemoryTrimmer:
    """Gives the kernel back, every so often, what a process that keeps freed memory does not use.

    Kept memory only grows with the rarest mixture of batches. What is in use at all times is
    touched again at once, which costs some milliseconds each time.
    """

    def __init__(self, every_s: float = TRIM_EVERY_S) -> None:
        self._every_s = every_s
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="trim", daemon=True)

    def start(self) -> None:
        """In a thread of its own; without effect where malloc cannot do it."""
        if sys.platform.startswith("linux") and hasattr(ctypes.CDLL(None), "malloc_trim"):
            self._thread.start()

    def stop(self) -> None:
        """Ends the thread soon; may be called before `start`."""
        self._stopping.set()

    def _run(self) -> None:
        trim = ctypes.CDLL(None).malloc_trim
        while not self._stopping.wait(self._every_s):
            trim(0)


@contextmanager
def starting() -> Iterator[None]:
    """Make what lasts as long as the process without collecting garbage, then or later.

    A start imports thousands of modules and throws next to nothing away, and every full collection
    afterwards would look at all of it again: while requests wait, and once more at the end.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
    gc.freeze()


def _tell_malloc(parameters: dict[int, int]) -> None:
    if not sys.platform.startswith("linux") or "MALLOC_ARENA_MAX" in os.environ:
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # musl has none
    if mallopt is None:
        return
    for parameter, value in parameters.items():
        mallopt(parameter, value)


def yield_to_the_model() -> None:
    """Lower this thread's priority, where a thread can have one (Linux).

    A decoder that takes the core of one OpenMP thread makes all others wait for that one at the
    end of every layer; decoding in the gaps costs the model nothing.
    """
    if sys.platform.startswith("linux"):
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), 10)
