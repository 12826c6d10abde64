"""The embedder service under a real uvicorn in a thread of the test."""

from collections.abc import Iterator
from contextlib import contextmanager

from petsearch.embedding import BatchingEmbedder
from petsearch.photos import Decoders, ImageLimits
from services.embedder.app import build_app
from services.embedder.decoder import Decoder
from services.embedder.loading import Loading
from services.embedder.metrics import EmbedderMetrics
from services.embedder.model_watch import ModelWatch
from services.embedder.parts import Parts
from tests.app_server import served_app


@contextmanager
def served(
    embedder: BatchingEmbedder,
    metrics: EmbedderMetrics | None = None,
    watch: ModelWatch | None = None,
) -> Iterator[str]:
    """The address of the service; `metrics` is what the embedder was made to tell."""
    decoder = Decoder(Decoders(ImageLimits(), processes=2))
    metrics = metrics or EmbedderMetrics()
    metrics.watch(embedder)
    app = build_app(Loading.done(Parts(embedder, decoder, metrics, watch)), metrics)
    try:
        with served_app(app) as url:
            yield url
    finally:
        decoder.close()
