"""Programs as processes of a test: start, wait until up, kill, start again, end them all."""

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Self

from devstack.addresses import Answers
from devstack.parts import Part
from tests import programs
from tests.programs import Program

UNHURRIED = {"PETSEARCH_REQUEST_DEADLINE_S": "30"}
"""The setting of services whose tests are not about time: they share the processors with others."""
START_S = 180.0
STOP_S = 20.0
_POLL_S = 0.05


class Process:
    """A program that can be killed and started again. What it says is appended to `log_file`."""

    def __init__(self, part: Part, log_file: Path) -> None:
        self.name = part.name
        self.log_file = log_file
        self._command = [*part.command]
        self._answers = part.answers
        self._env = {**os.environ, **part.env}
        self._running: Program | None = None

    @property
    def is_alive(self) -> bool:
        """Whether it runs."""
        return self._running is not None and self._running.poll() is None

    @property
    def pid(self) -> int:
        """Its process id; the last one if it ended."""
        assert self._running is not None, f"{self.name} was never started"
        return self._running.pid

    @property
    def exit_code(self) -> int | None:
        """How it ended (-9: SIGKILL); None while it runs."""
        assert self._running is not None, f"{self.name} was never started"
        return self._running.poll()

    @property
    def log(self) -> str:
        """Everything it said so far, in all its lives."""
        return self.log_file.read_text(errors="replace") if self.log_file.exists() else ""

    def start(self) -> None:
        """Start it, without waiting until it answers."""
        assert not self.is_alive, f"{self.name} runs already"
        with self.log_file.open("ab") as output:
            # A session of its own: whatever it starts ends with it, and Ctrl-C reaches only us.
            self._running = programs.start(
                self._command, stdout=output, stderr=output, env=self._env, has_own_session=True
            )

    def wait_until_up(self, timeout_s: float = START_S) -> None:
        """Wait until it answers.

        Raises:
            AssertionError: it ended, or took too long; says how its log ends.
        """
        deadline = time.monotonic() + timeout_s
        while not self._answers():
            assert self.is_alive, f"{self.name} ended: {self._last_lines()}"
            assert time.monotonic() < deadline, f"{self.name} is not up: {self._last_lines()}"
            time.sleep(_POLL_S)

    def kill(self) -> None:
        """SIGKILL, and wait until it is gone."""
        self._signal(signal.SIGKILL)
        assert self._running is not None
        self._running.wait()

    def stop(self, timeout_s: float = STOP_S) -> None:
        """SIGTERM, and SIGKILL if it takes too long."""
        if self._running is None:
            return
        self._signal(signal.SIGTERM)
        try:
            self._running.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self.kill()

    def _signal(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, number)

    def _last_lines(self) -> str:
        return " | ".join(self.log.splitlines()[-5:])


class Processes:
    """Processes that end together, also when the test fails. Their logs lie in `folder`."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._all: list[Process] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    def add(
        self,
        name: str,
        command: Sequence[str],
        *,
        answers: Answers,
        env: Mapping[str, str] | None = None,
    ) -> Process:
        """A process of that name, started."""
        return self.add_part(Part(name, tuple(command), answers, env or {}))

    def add_part(self, part: Part) -> Process:
        """A process of a part, started."""
        process = self.prepare(part)
        process.start()
        return process

    def prepare(self, part: Part) -> Process:
        """A process of a part, not started yet."""
        process = Process(part, self._folder / f"{part.name}.log")
        self._all.append(process)
        return process

    def end(self) -> None:
        """Kill what runs, the last started first: what it writes is not wanted any more."""
        for process in reversed(self._all):
            if process.is_alive:
                process.kill()
        self._all.clear()


def stat_of(pid: int) -> list[str]:
    """The fields of a process from its state on, as the kernel has them; none if it is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return []


def has_ended(pid: int) -> bool:
    """Whether a process is gone, or waits for its parent to look."""
    return stat_of(pid)[:1] in ([], ["Z"])
