"""Jobs from their opening to their end: uploads and sources become chunks, chunks are queued,
leased, found again when lost, and their outcomes are listed, retried and deleted.
"""

from petsearch.jobs.circuit_breaker import CircuitBreaker
from petsearch.jobs.dispatch import Dispatcher, DispatchOptions
from petsearch.jobs.enumeration import Enumerator
from petsearch.jobs.leases import Lease, LeaseKeeper
from petsearch.jobs.service import Jobs, KnownImage, Upload

__all__ = [
    "CircuitBreaker",
    "DispatchOptions",
    "Dispatcher",
    "Enumerator",
    "Jobs",
    "KnownImage",
    "Lease",
    "LeaseKeeper",
    "Upload",
]
