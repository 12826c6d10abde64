"""The embedder service under a real uvicorn in a thread of the test."""

from collections.abc import Iterator
from contextlib import contextmanager

from petsearch.adapters.clip.torch_resize import resize_with_torch
from petsearch.embedding import BatchingEmbedder
from petsearch.photos import ImageLimits
from services.embedder.app import build_app
from services.embedder.decoder import Decoder
from services.embedder.metrics import EmbedderMetrics
from services.embedder.parts import Parts
from tests.app_server import served_app


@contextmanager
def served(embedder: BatchingEmbedder, metrics: EmbedderMetrics | None = None) -> Iterator[str]:
    """The address of the service; `metrics` is what the embedder was made to tell."""
    decoder = Decoder(ImageLimits(), resize_with_torch)
    app = build_app(Parts(embedder, decoder, metrics or EmbedderMetrics()))
    try:
        with served_app(app) as url:
            yield url
    finally:
        decoder.close()
