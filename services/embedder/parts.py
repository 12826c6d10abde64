"""What the embedder's routes depend on."""

from dataclasses import dataclass

from petsearch.embedding import BatchingEmbedder
from services.embedder.decoder import Decoder
from services.embedder.metrics import EmbedderMetrics


@dataclass(frozen=True)
class Parts:
    """Built once, by the application's entry point."""

    embedder: BatchingEmbedder
    decoder: Decoder
    metrics: EmbedderMetrics
