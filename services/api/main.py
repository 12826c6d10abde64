"""Entry point of the API: `uvicorn --factory services.api.main:create_app`."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI

from petsearch.app.services import build_services, has_admin_key
from petsearch.domain.errors import ConfigurationError
from petsearch.process_tuning import allow_open_files, startup_without_gc
from petsearch.settings import Settings, exit_if_misconfigured, start_logging
from services.api.app import build_app
from services.api.metrics import ApiMetrics
from services.api.page import web_dir
from services.http.draining import Draining
from services.http.startup import wait_until_available


@exit_if_misconfigured()
def create_app() -> FastAPI:
    """The application with services from the environment, closed when it stops.

    Where keys are asked for it waits for Redis, which alone can say whether there are any.

    Raises:
        SystemExit: a setting is wrong, or keys are neither made nor waived.
    """
    settings = start_logging()
    allow_open_files()
    if not settings.allow_no_keys:
        wait_until_available(lambda: _check_keys(settings))
    with startup_without_gc():
        services = build_services(settings)
    services.query_decoders.start()
    metrics = ApiMetrics()
    metrics.watch(services.query_cache)
    if settings.metrics_port:
        metrics.serve(settings.metrics_port)

    draining = Draining()

    @asynccontextmanager
    async def close_at_end(_: FastAPI) -> AsyncIterator[None]:
        with draining.on_signals(settings.drain_s):
            yield
        services.close()
        metrics.close()

    # The proxy has the page's files, and asks here for the page of a photo.
    app = build_app(services, web_dir=web_dir(), metrics=metrics, draining=draining)
    app.router.lifespan_context = close_at_end
    return app


def _check_keys(settings: Settings) -> None:
    if has_admin_key(settings):
        return
    raise ConfigurationError(
        "This API has no key of the scope admin. Make one where PETSEARCH_REDIS_URL is set, with: "
        "petsearch keys create --name me --scope admin. Or, if only loopback or a private network "
        "reaches it, say that nobody needs one with PETSEARCH_ALLOW_NO_KEYS=1."
    )
