"""Whether the hub of models and data sets answers, asked once and in seconds.

Its own client tries each file six times, which keeps a machine without a network waiting for a
minute before anything is said.
"""

import httpx

_TIMEOUT_S = 4.0


def is_hub_reachable() -> bool:
    """Ask the hub's address for anything at all. False also where it was declared offline."""
    from huggingface_hub import constants  # not in every image

    if constants.is_offline_mode():
        return False
    try:
        httpx.head(constants.ENDPOINT, timeout=_TIMEOUT_S)
    except httpx.TransportError:
        return False
    return True


def use_cache_only() -> None:
    """Make the hub's client of this process take what was fetched before, or fail at once."""
    from huggingface_hub import constants

    constants.HF_HUB_OFFLINE = True
