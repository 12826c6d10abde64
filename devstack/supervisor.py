"""Supervises a process: forwards its output and restarts it when it exits."""

import contextlib
import os
import signal
import subprocess
import threading
import time
from collections import deque
from collections.abc import Callable

from devstack.parts import GRACE_S, Part

STOP_S = GRACE_S + 10.0
_FIRST_PAUSE_S = 0.5
_LONGEST_PAUSE_S = 15.0
_STEADY_S = 20.0
"""One that ran for so long is started again soon."""
_LAST_LINES = 15
_MOST_DEATHS = 6
"""So many short lives in a row, and there is no sense in another."""

Say = Callable[[str], None]


class Supervisor:
    """Runs a part until `stop`.

    Args:
        say: is given each of its lines, and what becomes of it; of a server only its last ones.
        on_lost: called when it ended for good: it forgets, or it dies again and again.
    """

    def __init__(self, part: Part, say: Say, on_lost: Callable[[str], None]) -> None:
        self.part = part
        self._say = say
        self._on_lost = on_lost
        self._stopping = threading.Event()
        self._starting = threading.Lock()
        self._process: subprocess.Popen[str] | None = None
        self._thread = threading.Thread(target=self._keep_running, name=part.name, daemon=True)

    def start(self) -> None:
        """Start it, without waiting until it answers."""
        self._thread.start()

    def terminate(self) -> None:
        """SIGTERM, once; it is not started again."""
        self._stopping.set()
        with self._starting:
            self._signal(signal.SIGTERM)

    def wait(self) -> None:
        """Wait for the end after `terminate`; SIGKILL if it takes too long."""
        if self._thread.ident is None:
            return  # it was never started
        self._thread.join(STOP_S)
        if self._thread.is_alive():
            self._say(f"does not end within {STOP_S:.0f} s: killed")
            self._signal(signal.SIGKILL)
            self._thread.join()

    def _keep_running(self) -> None:
        deaths = 0
        while not self._stopping.is_set():
            started = time.monotonic()
            code = self._run_once()
            if self._stopping.is_set():
                break
            deaths = 1 if time.monotonic() - started > _STEADY_S else deaths + 1
            if self.part.forgets or deaths == _MOST_DEATHS:
                self._say(f"ended with code {code}")
                self._on_lost(self.part.name)
                break
            pause_s = min(_FIRST_PAUSE_S * 2.0 ** (deaths - 1), _LONGEST_PAUSE_S)
            self._say(f"ended with code {code}; it is started again in {pause_s:g} s")
            self._stopping.wait(pause_s)

    def _run_once(self) -> int | None:
        with self._starting:
            if self._stopping.is_set():
                return None
            process = self._process = subprocess.Popen(
                self.part.command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
                env={**os.environ, **self.part.env},
                # A session of its own: Ctrl-C reaches only us, who stop them in order.
                start_new_session=True,
            )
        self._say(f"started, pid {process.pid}")
        assert process.stdout is not None
        unsaid = deque[str](maxlen=_LAST_LINES)
        hear = unsaid.append if self.part.is_server else self._say
        with process.stdout:
            for line in process.stdout:
                hear(line.rstrip("\n"))
        code = process.wait()
        if not self._stopping.is_set():
            for line in unsaid:
                self._say(line)
        return code

    def _signal(self, number: signal.Signals) -> None:
        if self._process is not None and self._process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, number)
