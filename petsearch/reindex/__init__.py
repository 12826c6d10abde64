"""Changing the model without losing search: the write set, the copy into a new collection, its
checks, promotion and rollback.
"""

from petsearch.reindex.backfill import Copier, PointMaker
from petsearch.reindex.changes import ModelChanges
from petsearch.reindex.fanout_index import FanOutIndex
from petsearch.reindex.runner import Reindexer
from petsearch.reindex.write_set import WriteSet

__all__ = ["Copier", "FanOutIndex", "ModelChanges", "PointMaker", "Reindexer", "WriteSet"]
