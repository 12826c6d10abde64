"""The Redis of a single process, and what a killed one has left of it."""

import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
import redis

from petsearch.adapters.redis.private_server import PrivateRedis, find_redis_server


@pytest.mark.parametrize("noted", [True, False])
@pytest.mark.parametrize("name", ["redis-server", "valkey-server"])
def test_a_survivor_is_stopped_on_a_machine_without_programs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, *, noted: bool
) -> None:
    folder, binary = tmp_path / "redis", tmp_path / name
    folder.mkdir()
    binary.symlink_to(find_redis_server())
    with started(binary, folder) as survivor:
        # A full disk leaves an empty file.
        (folder / "redis.pid").write_text(str(survivor.pid) if noted else "")
        monkeypatch.setenv("PATH", "")
        with closing(PrivateRedis(folder)) as server:
            assert survivor.wait(10) == 0
            with redis.Redis(unix_socket_path=str(server.socket_path)) as client:
                assert client.ping()


@contextmanager
def started(binary: Path, folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A server that works in a folder and answers."""
    options = ("--port", "0", "--unixsocket", str(folder / "socket"), "--dir", str(folder))
    with subprocess.Popen([str(binary), *options], stdout=subprocess.PIPE) as server:
        assert server.stdout is not None
        try:
            while b"eady to accept connections" not in server.stdout.readline():
                assert server.poll() is None
            yield server
        finally:
            server.kill()
