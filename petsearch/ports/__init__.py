"""What the core needs from the outside, as Protocols. All calls are synchronous, and raise
`Unavailable` when what is behind the port does not respond.

The suites in tests/contract run over every adapter of the index, the object store, the ledger, the
keys, the limiter, the write set and the embedder. The other ports have one adapter and no suite.
"""

from petsearch.ports.access import KeyStore
from petsearch.ports.embedding import ClipModel, Embedder, Tokens
from petsearch.ports.index import (
    Collections,
    IndexReader,
    IndexWriter,
    RecordChange,
    Snapshots,
)
from petsearch.ports.ledger import (
    CallKey,
    ChunkLedger,
    ChunkSlot,
    Claim,
    ClaimedChunk,
    Enumeration,
    EnumerationLedger,
    IdempotencyStore,
    JobLedger,
    JobRecords,
    JobWriter,
    LedgerCopy,
    OpenChunks,
    OverdueWork,
    TakenChunks,
)
from petsearch.ports.observer import IngestObserver, Stage, timed
from petsearch.ports.queue import TaskQueue
from petsearch.ports.shares import SharedSearch, ShareStore
from petsearch.ports.store import ObjectStore, StoredObject
from petsearch.ports.write_set import WriteSetState, WriteSetStore

__all__ = [
    "CallKey",
    "ChunkLedger",
    "ChunkSlot",
    "Claim",
    "ClaimedChunk",
    "ClipModel",
    "Collections",
    "Embedder",
    "Enumeration",
    "EnumerationLedger",
    "IdempotencyStore",
    "IndexReader",
    "IndexWriter",
    "IngestObserver",
    "JobLedger",
    "JobRecords",
    "JobWriter",
    "KeyStore",
    "LedgerCopy",
    "ObjectStore",
    "OpenChunks",
    "OverdueWork",
    "RecordChange",
    "ShareStore",
    "SharedSearch",
    "Snapshots",
    "Stage",
    "StoredObject",
    "TakenChunks",
    "TaskQueue",
    "Tokens",
    "WriteSetState",
    "WriteSetStore",
    "timed",
]
