"""The worker's health check, against real consumers on a real Redis."""

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from devstack.addresses import free_port, listens
from petsearch.adapters.redis import make_celery
from petsearch.adapters.redis.private_server import find_redis_server
from services.worker.node import node_name, nodes_of_host
from services.worker.ping import answers
from tests.processes import Processes
from tests.programs import run


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder, port = tmp_path_factory.mktemp("redis"), free_port()
    processes = Processes(folder / "logs")
    command = [find_redis_server(), "--port", str(port), "--bind", "127.0.0.1", "--save", ""]
    processes.add("redis", command, answers=listens(port)).wait_until_up()
    yield f"redis://127.0.0.1:{port}/0"
    processes.end()


_CONSUME = """
import sys
from petsearch.adapters.redis import make_celery
broker_url, name = sys.argv[1:]
make_celery(broker_url).worker_main(
    ["worker", "--hostname", name, "--pool", "threads", "--concurrency", "1", "--without-gossip"]
)
"""


@contextmanager
def consuming(broker_url: str, name: str, logs: Path) -> Iterator[None]:
    """A worker of that name, about to consume.

    A process of its own: the workers of one process share Celery's event loop, and read from each
    other's connections.
    """
    with Processes(logs) as processes:
        command = [sys.executable, "-c", _CONSUME, broker_url, name]
        worker = processes.add(name, command, answers=lambda: True)
        yield
        worker.stop()
        assert worker.exit_code == 0, worker.log


def test_worker_of_this_host_is_heard_and_one_of_another_is_not(
    broker: str, tmp_path: Path
) -> None:
    with consuming(broker, node_name("here"), tmp_path):
        given_up = time.monotonic() + 120
        # A worker that just started may not listen to calls yet.
        while not answers(broker, host="here", timeout_s=5):
            assert time.monotonic() < given_up
        assert not answers(broker, host="there", timeout_s=1)
    assert not answers(broker, host="here", timeout_s=1)


def test_two_workers_of_one_host_do_not_share_a_name(broker: str, tmp_path: Path) -> None:
    first, second = node_name("here"), node_name("here")
    assert first != second
    app = make_celery(broker)
    inspect = app.control.inspect(pattern=nodes_of_host("here"), matcher="glob", timeout=5)
    with consuming(broker, first, tmp_path), consuming(broker, second, tmp_path):
        heard: set[str] = set()
        given_up = time.monotonic() + 120
        # A worker that just started may not listen to calls yet.
        while heard != {first, second} and time.monotonic() < given_up:
            heard = set(inspect.ping() or ())
        assert heard == {first, second}
    app.close()


def test_command_fails_where_redis_is_gone() -> None:
    env = dict(os.environ) | {"PETSEARCH_REDIS_URL": f"redis://127.0.0.1:{free_port()}/0"}
    command = [sys.executable, "-m", "services.worker.ping"]
    done = run(command, timeout_s=120, env=env)
    assert done.returncode == 1
    assert "No worker on this host answered" in done.stderr
