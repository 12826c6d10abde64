"""Ingests photos: fetches, decodes, stores, embeds and indexes the items of a chunk, and determines
an outcome for each.
"""

from petsearch.ingest.ingestor import Ingestor
from petsearch.ingest.prepare import IngestOptions

__all__ = ["IngestOptions", "Ingestor"]
