"""Whether the hub of models and data sets answers, asked once and in seconds.

Its own client tries each file six times, which keeps a machine without a network waiting for a
minute before anything is said.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from petsearch.failover import proxy_errors

_TIMEOUT_S = 4.0
_OFFLINE = threading.Lock()
"""Held while the hub's client, which has one switch for the process, is offline."""


def is_hub_reachable() -> bool:
    """Ask the hub's address for anything at all. False also where it was declared offline.

    Raises:
        ConfigurationError: the proxy that the environment names for it cannot be used.
    """
    from huggingface_hub import constants  # not in every image

    if constants.is_offline_mode():
        return False
    try:
        with proxy_errors(httpx.URL(constants.ENDPOINT).host):
            httpx.head(constants.ENDPOINT, timeout=_TIMEOUT_S)
    except httpx.TransportError:
        return False
    return True


def model_progress(spec: str) -> str:
    """What becomes of a model that is not loaded yet, in words: how much of a hub's was fetched."""
    if not spec.startswith("hub:"):
        return f"The model {spec} is being loaded."
    from huggingface_hub import constants

    # The hub's client writes into files of this name, and renames them when they are complete.
    partial = Path(constants.HF_HUB_CACHE).glob("*/blobs/*.incomplete")
    fetched_mb = sum(_size_of(path) for path in partial) / 1e6
    if not fetched_mb:
        return f"The model {spec} is being loaded."
    return f"The model {spec} is being fetched: {fetched_mb:.0f} MB so far."


def _size_of(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:  # complete
        return 0


@contextmanager
def cached_if_unreachable() -> Iterator[bool]:
    """Let the hub's client take what was fetched before, or fail at once, if the hub is away.

    Yields:
        Whether the hub answers.
    """
    from huggingface_hub import constants

    if is_hub_reachable():
        yield True
        return
    with _OFFLINE:
        before, constants.HF_HUB_OFFLINE = constants.HF_HUB_OFFLINE, True
        try:
            yield False
        finally:
            constants.HF_HUB_OFFLINE = before
