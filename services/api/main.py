"""Entry point of the API: `uvicorn --factory services.api.main:create_app`."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI

from petsearch.bootstrap import build_services
from petsearch.errors import ConfigurationError
from petsearch.observability import configure_logging
from petsearch.settings import Settings
from services.api.app import build_app
from services.api.metrics import ApiMetrics


def create_app() -> FastAPI:
    """The application with services from the environment, closed when it stops.

    Raises:
        ConfigurationError: an address is missing, or keys are neither set up nor waived.
    """
    settings = Settings.from_environment()
    configure_logging(level=settings.log_level, json=settings.log_json)
    if not settings.allow_no_keys:
        raise ConfigurationError(
            "This API has no keys yet. Bind it to loopback or a private network only, and say so "
            "with PETSEARCH_ALLOW_NO_KEYS=1."
        )
    services = build_services(settings)
    metrics = ApiMetrics()
    metrics.watch(services.query_cache)
    if settings.metrics_port:
        metrics.serve(settings.metrics_port)

    @asynccontextmanager
    async def close_at_end(_: FastAPI) -> AsyncIterator[None]:
        yield
        services.close()
        metrics.close()

    app = build_app(services, metrics=metrics)
    app.router.lifespan_context = close_at_end
    return app
