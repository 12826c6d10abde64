"""Servers that hostile files are sent to: in one process, or as services."""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from petsearch.client import Client
from tests.hostile_files.ways import Ways
from tests.server import ServerProcess
from tests.stack import Stack

_ENV = {
    "PETSEARCH_ALLOW_NO_KEYS": "1",
    "PETSEARCH_ANONYMOUS_REQUESTS_PER_MINUTE": "0",
    "PETSEARCH_LOG_LEVEL": "CRITICAL",
    "HF_HUB_OFFLINE": "1",
}


@dataclass(frozen=True)
class Target:
    """A server to attack."""

    ways: Ways
    pids: Sequence[int]
    """Of the processes that serve strangers' files."""

    @property
    def is_alive(self) -> bool:
        """Whether all of them are."""
        return all(_is_alive(pid) for pid in self.pids)


def _is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/statm").read_text().split()[0] != "0"
    except OSError:  # it has ended, and its parent knows
        return False


@contextmanager
def standalone(folder: Path) -> Iterator[Target]:
    """`petsearch serve` with the sample model."""
    imports = folder / "imports"
    imports.mkdir()
    env = {**_ENV, "PETSEARCH_IMPORT_DIRS": json.dumps([str(imports)])}
    server = ServerProcess(folder / "data", env=env)
    assert server.address, server.log
    try:
        with Client(server.address) as client:
            yield Target(Ways(client, imports), [server.process.pid])
    finally:
        server.stop()


@contextmanager
def services(folder: Path) -> Iterator[Target]:
    """The API and a worker as processes of their own."""
    imports = folder / "imports"
    imports.mkdir()
    env = {**_ENV, "PETSEARCH_IMPORT_DIRS": json.dumps([str(imports)])}
    with Stack(folder, workers=1, env=env) as stack, Client(stack.api_url) as client:
        yield Target(Ways(client, imports), [stack.api.pid, stack.workers[0].pid])


SHAPES = {"standalone": standalone, "distributed": services}
