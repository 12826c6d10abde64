"""What the embedder's routes depend on."""

from dataclasses import dataclass

from petsearch.embedding import BatchingEmbedder
from services.embedder.decoder import Decoder
from services.embedder.metrics import EmbedderMetrics
from services.embedder.model_watch import ModelWatch


@dataclass(frozen=True)
class Parts:
    """Built once, by the application's entry point."""

    embedder: BatchingEmbedder
    decoder: Decoder
    metrics: EmbedderMetrics
    watch: ModelWatch | None = None
    """What loads and unloads models; None without an object store, where one is served for ever."""
