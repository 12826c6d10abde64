"""What the core needs from the outside, as Protocols with few methods. All calls are synchronous.

Every method may raise `Unavailable` when the thing behind the port does not answer. One contract
suite per port (tests/contract) runs over every adapter.
"""

from petsearch.ports.access import Allowance, KeyStore, RateLimiter
from petsearch.ports.embedding import ClipModel, Embedder, Tokens
from petsearch.ports.index import (
    Collections,
    IndexReader,
    IndexWriter,
    RecordChange,
    Snapshots,
)
from petsearch.ports.ledger import (
    ChunkSlot,
    Claim,
    ClaimedChunk,
    Enumeration,
    JobLedger,
    KeptAnswer,
    LedgerCopy,
    OverdueChunks,
)
from petsearch.ports.observer import IngestObserver, NobodyWatches, Stage, timed
from petsearch.ports.queue import TaskQueue
from petsearch.ports.store import ObjectStore, StoredObject
from petsearch.ports.write_set import WriteSetState, WriteSetStore

__all__ = [
    "Allowance",
    "ChunkSlot",
    "Claim",
    "ClaimedChunk",
    "ClipModel",
    "Collections",
    "Embedder",
    "Enumeration",
    "IndexReader",
    "IndexWriter",
    "IngestObserver",
    "JobLedger",
    "KeptAnswer",
    "KeyStore",
    "LedgerCopy",
    "NobodyWatches",
    "ObjectStore",
    "OverdueChunks",
    "RateLimiter",
    "RecordChange",
    "Snapshots",
    "Stage",
    "StoredObject",
    "TaskQueue",
    "Tokens",
    "WriteSetState",
    "WriteSetStore",
    "timed",
]
