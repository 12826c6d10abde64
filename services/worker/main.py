"""Entry point of the worker: `python -m services.worker.main`; a thread in standalone."""

import signal
import socket
import threading
from typing import Any

import celery

from petsearch.app.services import Services, build_services
from petsearch.app.watchdog import watched
from petsearch.domain.errors import Conflict, Unavailable
from petsearch.observability import get_logger
from petsearch.process_tuning import return_freed_memory, startup_without_gc
from petsearch.settings import exit_if_misconfigured, start_logging
from services.worker.metrics import WorkerMetrics
from services.worker.node import node_name
from services.worker.runtime import WorkerRuntime, build_runtime
from services.worker.tasks import register_tasks

log = get_logger(__name__)

_RESTART_PAUSE_S = 1.0


def create_app(services: Services, runtime: WorkerRuntime) -> celery.Celery:
    """Create the first collection if there is none, and the Celery application with its tasks.

    Raises:
        Unavailable: a dependency does not answer.
    """
    services.initialise()
    register_tasks(services.storage.celery_app, runtime)
    return services.storage.celery_app


class WorkerThread:
    """A Celery worker in a thread of this process.

    It is restarted when it ends by itself: Celery 5.7 treats a lost connection to Redis as
    unrecoverable at some moments.
    """

    def __init__(self, app: celery.Celery, runtime: WorkerRuntime, *, threads: int) -> None:
        # The threads of the pool look up their tasks in the default application.
        app.set_default()
        self._app = app
        self._runtime = runtime
        self._threads = threads
        self._changing = threading.Lock()
        self._controller: Any = self._make_controller()
        self._thread = threading.Thread(target=self._run, name="worker", daemon=True)

    def start(self) -> None:
        """Start to consume."""
        self._runtime.start()
        self._thread.start()

    def stop(self) -> None:
        """End running chunks at their next batch, then stop."""
        with self._changing:
            self._runtime.stop()
        self._controller.stop()
        self._thread.join()

    def _make_controller(self) -> Any:
        from celery.worker import WorkController

        # Unlike app.Worker, it has no signal handlers, which need the main thread.
        return WorkController(
            app=self._app,
            hostname=node_name(socket.gethostname()),
            pool="threads",
            concurrency=self._threads,
            without_gossip=True,
            without_mingle=True,
        )

    def _run(self) -> None:
        stopping = self._runtime.stopping
        while not stopping.is_set():
            try:
                self._controller.start()
            except Exception:  # the thread's edge: it is restarted
                log.exception("worker failed")
            if stopping.wait(_RESTART_PAUSE_S):
                return
            log.error("worker ended; restarting")
            with self._changing:
                if stopping.is_set():
                    return
                self._controller = self._make_controller()


@exit_if_misconfigured()
def main() -> None:
    """Run a worker until SIGTERM or SIGINT."""
    return_freed_memory()
    settings = start_logging()
    with startup_without_gc():
        services = build_services(settings)
    services.parts.decoders.start()
    metrics = WorkerMetrics()
    runtime = build_runtime(services, metrics)
    if settings.metrics_port:
        metrics.watch(services.storage.queue)
        metrics.serve(settings.metrics_port)
    asked_to_stop = threading.Event()

    def stop(_number: int, _frame: object) -> None:
        asked_to_stop.set()
        runtime.stop()  # ends the wait for a dependency

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stop)
    if (app := _create_app_when_ready(services, runtime, asked_to_stop)) is not None:
        worker = WorkerThread(app, runtime, threads=settings.worker_threads)
        with watched(settings.stalled_s, runtime.chunks.in_hand.moves):
            worker.start()
            log.info("ready")
            asked_to_stop.wait()
        worker.stop()
    services.close()
    metrics.close()


def _create_app_when_ready(
    services: Services, runtime: WorkerRuntime, asked_to_stop: threading.Event
) -> celery.Celery | None:
    """Create the application once all dependencies answer; None if asked to stop before."""
    while not asked_to_stop.is_set():
        try:
            app = create_app(services, runtime)
        except (Unavailable, Conflict) as error:
            # Conflict: the embedder has not loaded the model of the current collection.
            runtime.breaker.wait(error, give_up=lambda: False)
        else:
            runtime.breaker.record_success()
            return app
    return None


if __name__ == "__main__":
    main()
