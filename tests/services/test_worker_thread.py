"""The worker as a thread, which leaves the processor to requests."""

import os
import queue
import threading
from collections.abc import Iterator

import pytest

from services.worker.main import WorkerThread, create_app
from services.worker.runtime import build_runtime
from tests.services.keyed_app import KeyedApp, keyed_app


@pytest.fixture(scope="module")
def keyed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KeyedApp]:
    with keyed_app(tmp_path_factory.mktemp("worker")) as opened:
        yield opened


def test_tasks_run_at_a_lower_priority_than_requests(keyed: KeyedApp) -> None:
    seen = queue.Queue[int]()
    runtime = build_runtime(keyed.services)
    app = create_app(keyed.services, runtime)

    @app.task(name="test.look", shared=False)  # type: ignore[untyped-decorator]
    def look() -> None:
        seen.put(_niceness())

    worker = WorkerThread(app, runtime, threads=1)
    worker.start()
    try:
        look.delay()
        assert seen.get(timeout=60) > _niceness()
    finally:
        worker.stop()


def _niceness() -> int:
    """Of the thread that asks."""
    return os.getpriority(os.PRIO_PROCESS, threading.get_native_id())
