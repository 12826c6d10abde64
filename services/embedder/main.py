"""Entry point of the embedder: `uvicorn --factory services.embedder.main:create_app`."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

from fastapi import FastAPI

from petsearch.app.connections import (
    load_embedder,
    load_served,
    open_decoders,
    open_store,
)
from petsearch.app.watchdog import watched
from petsearch.models.hub import model_progress
from petsearch.ports import ObjectStore
from petsearch.ports.work_in_hand import Moves
from petsearch.process_tuning import allow_open_files, startup_without_gc, trimmed_memory
from petsearch.settings import Settings, exit_if_misconfigured, start_logging
from services.embedder.app import build_app
from services.embedder.decoder import Decoder
from services.embedder.loading import Loading
from services.embedder.metrics import EmbedderMetrics
from services.embedder.model_watch import ModelWatch
from services.embedder.parts import Parts
from services.http.draining import Draining, DrainingGuard


@exit_if_misconfigured()
def create_app() -> FastAPI:
    """The application, which loads the model that is searched with while it runs already.

    Before there is one, it is the one that `PETSEARCH_MODEL` names.

    Raises:
        SystemExit: a setting is wrong, or no model is named.
    """
    settings = start_logging()
    allow_open_files()
    settings.require("model")
    metrics, draining = EmbedderMetrics(), Draining()
    store = open_store(settings) if settings.store_url else None
    loading = Loading(
        partial(_load, settings, store, metrics), lambda: model_progress(settings.model)
    )
    if settings.metrics_port:
        metrics.serve(settings.metrics_port)

    def moves() -> Moves:
        return parts.embedder.batcher.in_hand.moves() if (parts := loading.loaded) else {}

    @asynccontextmanager
    async def close_at_end(_: FastAPI) -> AsyncIterator[None]:
        loading.start()
        with (
            trimmed_memory(),
            watched(settings.stalled_s, moves),
            draining.on_signals(settings.drain_s),
        ):
            yield
        loading.stop()
        if (parts := loading.loaded) is not None:
            if parts.watch is not None:
                parts.watch.close()
            parts.decoder.close()
            parts.embedder.close()
        metrics.close()

    # In a network of services it is called by names that only the operator knows.
    is_limited = "allowed_hosts" in settings.model_fields_set
    hosts = settings.allowed_hosts if is_limited else ("*",)
    app = build_app(loading, metrics, allowed_hosts=hosts)
    app.add_middleware(DrainingGuard, draining=draining)
    app.router.lifespan_context = close_at_end
    return app


def _load(settings: Settings, store: ObjectStore | None, metrics: EmbedderMetrics) -> Parts:
    with startup_without_gc():
        embedder = load_embedder(settings, store, metrics)
    decoder = Decoder(open_decoders(settings))
    metrics.watch(embedder)
    if store is None:
        return Parts(embedder, decoder, metrics)
    watch = ModelWatch(embedder, store, partial(load_served, settings))
    watch.start()
    return Parts(embedder, decoder, metrics, watch)
