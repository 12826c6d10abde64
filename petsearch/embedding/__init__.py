"""From pixels and texts to embeddings: batches across requests for one device, a cache of query
embeddings, and zero-shot predictions of breeds.
"""

from petsearch.embedding.batching import BatchingOptions, BatchObserver
from petsearch.embedding.cache import CachingEmbedder
from petsearch.embedding.embedder import BatchingEmbedder
from petsearch.embedding.zero_shot import BreedTagger, embed_prompted

__all__ = [
    "BatchObserver",
    "BatchingEmbedder",
    "BatchingOptions",
    "BreedTagger",
    "CachingEmbedder",
    "embed_prompted",
]
