"""Entry point of the worker: `python -m services.worker.main`; a thread in standalone."""

import threading
from typing import Any

import celery
import celery.signals

from petsearch.bootstrap import Services, build_services
from petsearch.errors import Unavailable
from petsearch.observability import configure_logging, get_logger
from petsearch.settings import Settings
from petsearch.working import Work
from services.worker.tasks import register_tasks

log = get_logger(__name__)


def create_app(services: Services, work: Work) -> celery.Celery:
    """The Celery application with its tasks, and the first collection for them to write to."""
    services.initialise()
    register_tasks(services.celery_app, work)
    return services.celery_app


def _create_patiently(services: Services, work: Work) -> celery.Celery:
    """The application, once everything answers that it needs."""
    while True:
        try:
            return create_app(services, work)
        except Unavailable as error:
            work.gate.wait(error, give_up=lambda: False)


class WorkerThread:
    """A Celery worker in a thread of this process, for the standalone shape."""

    def __init__(self, app: celery.Celery, work: Work, *, threads: int) -> None:
        from celery.worker import WorkController

        # The pool's threads look their task up in the default application.
        app.set_default()
        # Without signal handlers, unlike app.Worker, which wants the main thread.
        self._controller: Any = WorkController(
            app=app, pool="threads", concurrency=threads, without_gossip=True, without_mingle=True
        )
        self._work = work
        self._thread = threading.Thread(target=self._run, name="worker", daemon=True)

    def start(self) -> None:
        """Begin to consume."""
        self._work.begin()
        self._thread.start()

    def stop(self) -> None:
        """End the chunks in hand at their next batch, then stop."""
        self._work.stop()
        self._controller.stop()
        self._thread.join()

    @property
    def is_alive(self) -> bool:
        """Whether the worker still consumes."""
        return self._thread.is_alive()

    def _run(self) -> None:
        try:
            self._controller.start()
        except Exception:  # the thread's edge; /readyz sees that it is gone
            log.exception("the worker ended")


def main() -> None:
    """Run a worker until it is told to stop."""
    settings = Settings.from_environment()
    configure_logging(level=settings.log_level, json=settings.log_json)
    services = build_services(settings)
    work = services.make_work()
    app = _create_patiently(services, work)
    celery.signals.worker_shutting_down.connect(lambda **_: work.stop(), weak=False)
    work.begin()
    try:
        app.worker_main(
            [
                "worker",
                "--pool=threads",
                f"--concurrency={settings.worker_threads}",
                "--loglevel=INFO",
                "--without-gossip",
                "--without-mingle",
            ]
        )
    finally:
        services.close()


if __name__ == "__main__":
    main()
