"""One redis-server for all tests of this process: whoever asks gets an empty database of it."""

import atexit
import itertools
import shutil
import tempfile
from dataclasses import replace
from functools import cache
from pathlib import Path

from devstack import parts
from devstack.addresses import free_port
from tests.processes import Processes

_MAX_DATABASES = 4096
_numbers = itertools.count()


def new_database() -> str:
    """Return the address of an empty database."""
    return f"redis://127.0.0.1:{_port()}/{next(_numbers)}"


@cache
def _port() -> int:
    """Start the server; it ends with this process."""
    folder, port = Path(tempfile.mkdtemp(prefix="petsearch-redis-")), free_port()
    processes = Processes(folder)

    def end() -> None:
        processes.end()
        shutil.rmtree(folder)

    atexit.register(end)
    part = parts.redis_server(folder, port)
    many = (*part.command, "--databases", str(_MAX_DATABASES))
    processes.add_part(replace(part, command=many)).wait_until_up()
    return port
