"""Programs that tests start: Python modules as forks of a process that has their libraries.

Tests of the start itself (imports, the interpreter's options) use `subprocess`.
"""

import atexit
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import IO, Protocol

from tests import fork_server

_ROOT = Path(__file__).parent.parent
_CAN_FORK = sys.platform == "linux"  # needs process descriptors


class Program(Protocol):
    """A program that runs; `subprocess.Popen` is one."""

    @property
    def pid(self) -> int: ...

    def poll(self) -> int | None:
        """Return the exit code, negative for a signal; None while it runs."""

    def wait(self, timeout: float | None = None) -> int:
        """Wait for the end and return the exit code.

        Raises:
            subprocess.TimeoutExpired: it still runs.
        """

    def send_signal(self, sig: int, /) -> None:
        """Send a signal; nothing happens if it has ended."""


def start(
    command: Sequence[str],
    *,
    stdout: int | IO[bytes],
    stderr: int | IO[bytes],
    env: Mapping[str, str],
    has_own_session: bool = False,
) -> Program:
    """Start a program. `python -m <module>` is a fork if it can be."""
    if not _CAN_FORK or list(command[:2]) != [sys.executable, "-m"]:
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=stderr,
            env=env,
            start_new_session=has_own_session,
        )
    request = {
        "module": command[2],
        "arguments": list(command[3:]),
        "env": dict(env),
        "cwd": str(Path.cwd()),
        "has_own_session": has_own_session,
    }
    return _Fork(json.dumps(request).encode(), (_number(stdout), _number(stderr)))


def run(
    command: Sequence[str], *, timeout_s: float, env: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a program to its end and return what it printed.

    Raises:
        subprocess.TimeoutExpired: it was killed because it took too long.
    """
    with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as errors:
        program = start(command, stdout=output, stderr=errors, env=env or os.environ)
        try:
            code = program.wait(timeout_s)
        except subprocess.TimeoutExpired:
            program.send_signal(signal.SIGKILL)
            program.wait()
            raise
        return subprocess.CompletedProcess(command, code, _text_of(output), _text_of(errors))


def petsearch(
    *arguments: str | Path, timeout_s: float = 240, env: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run the command `petsearch`; `env` is added to the environment."""
    command = [sys.executable, "-m", "petsearch", *map(str, arguments)]
    return run(command, timeout_s=timeout_s, env={**os.environ, **(env or {})})


class _Fork:
    """A child of the fork server."""

    def __init__(self, request: bytes, outputs: tuple[int, int]) -> None:
        self._answers, theirs = socket.socketpair()
        with theirs, Path(os.devnull).open("rb") as nothing:
            descriptors = [nothing.fileno(), *outputs, theirs.fileno()]
            socket.send_fds(_fork_server(), [request], descriptors)
        self._code: int | None = None
        self.pid = self._next_number(None)

    def poll(self) -> int | None:
        with contextlib.suppress(subprocess.TimeoutExpired):
            return self.wait(0)
        return None

    def wait(self, timeout: float | None = None) -> int:
        if self._code is None:
            self._code = self._next_number(timeout)
            self._answers.close()
        return self._code

    def send_signal(self, sig: int, /) -> None:
        if self.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, sig)

    def _next_number(self, timeout: float | None) -> int:
        deadline = None if timeout is None else time.monotonic() + timeout
        line = b""
        while not line.endswith(b"\n"):
            self._answers.settimeout(deadline and max(deadline - time.monotonic(), 0.0))
            try:
                byte = self._answers.recv(1)
            except (TimeoutError, BlockingIOError) as error:
                raise subprocess.TimeoutExpired("fork", timeout or 0.0) from error
            assert byte, "the fork server has ended"
            line += byte
        return int(line)


@cache
def _fork_server() -> socket.socket:
    """Start the fork server of this process; it ends with it."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with theirs:
        process = subprocess.Popen(
            [sys.executable, "-m", fork_server.__name__, str(theirs.fileno())],
            pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL,
            cwd=_ROOT,
            # libgomp reads it when torch is imported; the services set the same before that.
            env={**os.environ, "GOMP_SPINCOUNT": "10000"},
            start_new_session=True,  # Ctrl-C reaches the tests, which end their programs
        )

    def end() -> None:
        ours.close()
        process.wait()

    atexit.register(end)
    return ours


def _number(output: int | IO[bytes]) -> int:
    return output if isinstance(output, int) else output.fileno()


def _text_of(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read().decode(errors="replace")
