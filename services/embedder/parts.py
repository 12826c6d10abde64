"""What the embedder's calls work with."""

from dataclasses import dataclass

from petsearch.embedding import BatchingEmbedder
from services.embedder.decoding import Decoder
from services.embedder.metrics import EmbedderMetrics


@dataclass(frozen=True)
class Parts:
    """Built once for the application."""

    embedder: BatchingEmbedder
    decoder: Decoder
    metrics: EmbedderMetrics
