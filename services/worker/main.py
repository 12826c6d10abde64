"""Entry point of the worker: `python -m services.worker.main`; a thread in standalone."""

import threading
from typing import Any

import celery

from petsearch.bootstrap import Services, build_services
from petsearch.observability import configure_logging, get_logger
from petsearch.process_tuning import give_back_freed_memory
from petsearch.settings import Settings
from services.worker.tasks import register_tasks

log = get_logger(__name__)


def create_app(services: Services | None = None) -> celery.Celery:
    """The Celery application with its tasks; services from the environment unless given."""
    services = services or build_services(Settings.from_environment())
    services.initialise()
    register_tasks(services.celery_app, services.make_ingestor(), services.ledger)
    return services.celery_app


class WorkerThread:
    """A Celery worker in a thread of this process, for the standalone shape."""

    def __init__(self, app: celery.Celery, *, threads: int) -> None:
        from celery.worker import WorkController

        # The pool's threads look their task up in the default application.
        app.set_default()
        # Without signal handlers, unlike app.Worker, which wants the main thread.
        self._controller: Any = WorkController(
            app=app, pool="threads", concurrency=threads, without_gossip=True, without_mingle=True
        )
        self._thread = threading.Thread(target=self._run, name="worker", daemon=True)

    def start(self) -> None:
        """Begin to consume."""
        self._thread.start()

    def stop(self) -> None:
        """Finish the chunks in hand, then stop."""
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
    give_back_freed_memory()
    settings = Settings.from_environment()
    configure_logging(level=settings.log_level, json=settings.log_json)
    app = create_app()
    app.worker_main(
        ["worker", "--pool=threads", f"--concurrency={settings.worker_threads}", "--loglevel=INFO"]
    )


if __name__ == "__main__":
    main()
