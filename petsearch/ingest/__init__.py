"""What brings a chunk of photos into the catalogue: fetch, decode, store copies, embed, index, and
an outcome for every item. Every step may be repeated.
"""

from petsearch.ingest.ingestor import IngestOptions, Ingestor

__all__ = ["IngestOptions", "Ingestor"]
