"""Entry point of the embedder: `uvicorn --factory services.embedder.main:create_app`."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI

from petsearch.app.connections import image_limits, load_embedder, load_resize
from petsearch.observability import configure_logging
from petsearch.process_tuning import startup_without_gc, trimmed_memory
from petsearch.settings import Settings
from services.embedder.app import build_app
from services.embedder.decoder import Decoder
from services.embedder.metrics import EmbedderMetrics
from services.embedder.parts import Parts
from services.http.draining import Draining, DrainingGuard


def create_app() -> FastAPI:
    """The application with the model that `PETSEARCH_MODEL` names, loaded and warm.

    Raises:
        ConfigurationError: no model is named, or it cannot be had.
    """
    settings = Settings.from_environment()
    configure_logging(level=settings.log_level, json=settings.log_json)
    metrics = EmbedderMetrics()
    with startup_without_gc():
        embedder = load_embedder(settings, metrics)
    decoder = Decoder(image_limits(settings), load_resize())
    draining = Draining()

    @asynccontextmanager
    async def close_at_end(_: FastAPI) -> AsyncIterator[None]:
        with trimmed_memory(), draining.on_signals(settings.drain_s):
            yield
        decoder.close()
        embedder.close()

    app = build_app(Parts(embedder, decoder, metrics))
    app.add_middleware(DrainingGuard, draining=draining)
    app.router.lifespan_context = close_at_end
    return app
