"""Entry point of the worker: `python -m services.worker.main`; a thread in standalone."""

import signal
import socket
import threading
from typing import Any

import celery

from petsearch.app.services import Services, build_services
from petsearch.domain.errors import Conflict, Unavailable
from petsearch.observability import configure_logging, get_logger
from petsearch.process_tuning import give_back_freed_memory, starting
from petsearch.settings import Settings
from services.worker.metrics import WorkerMetrics
from services.worker.node import node_name
from services.worker.runtime import Work, make_work
from services.worker.tasks import register_tasks

log = get_logger(__name__)

_RESTART_PAUSE_S = 1.0


def create_app(services: Services, work: Work) -> celery.Celery:
    """The Celery application with its tasks, and the first collection for them to write to.

    Raises:
        Unavailable: a dependency does not answer.
    """
    services.initialise()
    register_tasks(services.celery_app, work)
    return services.celery_app


class WorkerThread:
    """A Celery worker in a thread of this process.

    It is started again when it ends by itself: when Redis goes away at a bad moment, Celery 5.7
    takes that for an unrecoverable error.
    """

    def __init__(self, app: celery.Celery, work: Work, *, threads: int) -> None:
        # The pool's threads look their task up in the default application.
        app.set_default()
        self._app = app
        self._work = work
        self._threads = threads
        self._changing = threading.Lock()
        self._controller: Any = self._make_controller()
        self._thread = threading.Thread(target=self._run, name="worker", daemon=True)

    def start(self) -> None:
        """Begin to consume."""
        self._work.begin()
        self._thread.start()

    def stop(self) -> None:
        """End the chunks in hand at their next batch, then stop."""
        with self._changing:
            self._work.stop()
        self._controller.stop()
        self._thread.join()

    def _make_controller(self) -> Any:
        from celery.worker import WorkController

        # Without signal handlers, unlike app.Worker, which wants the main thread.
        return WorkController(
            app=self._app,
            hostname=node_name(socket.gethostname()),
            pool="threads",
            concurrency=self._threads,
            without_gossip=True,
            without_mingle=True,
        )

    def _run(self) -> None:
        stopping = self._work.stopping
        while not stopping.is_set():
            try:
                self._controller.start()
            except Exception:  # the thread's edge: it is started again
                log.exception("the worker failed")
            if stopping.wait(_RESTART_PAUSE_S):
                return
            log.error("the worker ended by itself; starting it again")
            with self._changing:
                if stopping.is_set():
                    return
                self._controller = self._make_controller()


def main() -> None:
    """Run a worker until SIGTERM or SIGINT."""
    give_back_freed_memory()
    settings = Settings.from_environment()
    configure_logging(level=settings.log_level, json=settings.log_json)
    with starting():
        services = build_services(settings)
    metrics = WorkerMetrics()
    work = make_work(services, metrics)
    if settings.metrics_port:
        metrics.watch(services.queue)
        metrics.serve(settings.metrics_port)
    asked_to_stop = threading.Event()

    def stop(_number: int, _frame: object) -> None:
        asked_to_stop.set()
        work.stop()  # whoever waits for a dependency goes on

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stop)
    app = _create_patiently(services, work, asked_to_stop)
    if app is not None:
        worker = WorkerThread(app, work, threads=settings.worker_threads)
        worker.start()
        log.info("ready")
        asked_to_stop.wait()
        worker.stop()
    services.close()
    metrics.close()


def _create_patiently(
    services: Services, work: Work, asked_to_stop: threading.Event
) -> celery.Celery | None:
    """The application, once everything answers that it needs; None if it is to stop before."""
    while not asked_to_stop.is_set():
        try:
            app = create_app(services, work)
        except (Unavailable, Conflict) as error:
            # Conflict: the embedder was started with another model than the photos' own.
            work.gate.wait(error, give_up=lambda: False)
        else:
            work.gate.succeeded()
            return app
    return None


if __name__ == "__main__":
    main()
