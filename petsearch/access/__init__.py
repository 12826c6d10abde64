"""API keys as they are kept and checked: which keys exist, what each may do, and a cached copy for
the API.
"""

from petsearch.access.key_ring import TICKET_S, KeyRing, KnownKeys

__all__ = ["TICKET_S", "KeyRing", "KnownKeys"]
