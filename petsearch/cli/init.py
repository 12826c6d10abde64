"""The command `petsearch init`: makes the bucket and the first collection, once it can."""

import time
from collections.abc import Callable

from petsearch.app.services import build_services
from petsearch.domain.errors import Conflict, Unavailable
from petsearch.models import Target
from petsearch.settings import Settings

_PAUSE_S = 1.0


def initialise(
    settings: Settings, *, patience_s: float, say: Callable[[str], None]
) -> Target | None:
    """Make what a new deployment lacks; what is there stays. Workers do the same at their start.

    None where there is a collection already whose model the embedder has not loaded. That is said,
    and is no failure of this command: whoever loads the model needs what waits for it.

    Args:
        patience_s: how long to wait for servers that do not answer yet.

    Raises:
        ConfigurationError: an address is missing or cannot be used.
        Unavailable: a server did not answer in time.
    """
    deadline = time.monotonic() + patience_s
    while True:
        try:
            return _initialise_once(settings)
        except Unavailable as error:
            if time.monotonic() + _PAUSE_S > deadline:
                raise
            say(f"Waiting: {error.detail}")
        except Conflict as error:
            say(error.detail)
            return None
        time.sleep(_PAUSE_S)


def _initialise_once(settings: Settings) -> Target:
    services = build_services(settings)
    try:
        return services.initialise()
    finally:
        services.close()
