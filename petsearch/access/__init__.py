"""API keys as they are kept and checked: which keys exist, what each may do, and a cached copy for
the API.
"""

from petsearch.access.key_ring import KeyRing, KnownKeys

__all__ = ["KeyRing", "KnownKeys"]
