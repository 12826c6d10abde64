"""A real standalone server as a process of its own, for tests that look from outside."""

import os
import signal
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests import programs
from tests.processes import UNHURRIED

START_S = 240.0
STOP_S = 120.0
SAME_SCORES = {"PETSEARCH_PRECISION": "fp32"}
"""Of servers whose scores are compared: which precision is faster is measured at each start."""


class ServerProcess:
    """`petsearch serve`, on a free port unless one is given; `address` is where it answers.

    Args:
        prefix: what the command is run by, such as a program that changes the user.
    """

    def __init__(
        self,
        data_dir: Path,
        *arguments: str,
        model: str = "sample",
        port: int = 0,
        env: Mapping[str, str] | None = None,
        prefix: Sequence[str] = (),
    ) -> None:
        self.data_dir = data_dir
        self._lines: list[str] = []
        self._ready_or_ended = threading.Event()
        self.address = ""
        command = [*prefix, sys.executable, "-m", "petsearch", "serve"]
        command += ["--data-dir", str(data_dir)]
        ours, theirs = os.pipe()
        with os.fdopen(theirs, "wb") as errors:
            self.process = programs.start(
                [*command, "--model", model, "--port", str(port), *arguments],
                stdout=1,
                stderr=errors,
                env={**os.environ, "PETSEARCH_LOG_LEVEL": "WARNING", **UNHURRIED, **(env or {})},
            )
        self._reader = threading.Thread(target=self._read, args=(ours,), daemon=True)
        self._reader.start()
        if not self._ready_or_ended.wait(START_S):
            self.stop()
            raise AssertionError(f"the server neither started nor ended: {self.log}")

    @property
    def log(self) -> str:
        """Everything on stderr so far."""
        return "".join(self._lines)

    def stop(self, number: signal.Signals = signal.SIGINT) -> int:
        """Send a signal and wait for the end; the exit code. SIGKILL if it does not end."""
        self.process.send_signal(number)
        try:
            code = self.process.wait(STOP_S)
        finally:
            self.process.send_signal(signal.SIGKILL)
        self._reader.join(STOP_S)
        return code

    def _read(self, descriptor: int) -> None:
        with os.fdopen(descriptor, errors="replace") as lines:
            for line in lines:
                self._lines.append(line)
                if line.startswith("petsearch is ready: "):
                    self.address = line.split()[-1]
                    self._ready_or_ended.set()
        self._ready_or_ended.set()
