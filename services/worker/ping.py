"""The worker's health check: `python -m services.worker.ping` exits with 0 if a worker answers.

The ping goes through the broker to the consumers on this host: a worker that is dead, stuck or
disconnected from Redis does not answer.
"""

import socket
import sys
from contextlib import suppress

from kombu.exceptions import OperationalError

from petsearch.adapters.redis import make_celery
from petsearch.settings import Settings, exit_if_misconfigured
from services.worker.node import nodes_of_host

_TIMEOUT_S = 3.0


def answers(broker_url: str, *, host: str, timeout_s: float = _TIMEOUT_S) -> bool:
    """Whether a worker on `host` answers within `timeout_s`."""
    # The error: Redis is down.
    with suppress(OperationalError), make_celery(broker_url) as app:
        asked = app.control.inspect(
            pattern=nodes_of_host(host), matcher="glob", limit=1, timeout=timeout_s
        )
        return bool(asked.ping())
    return False


@exit_if_misconfigured()
def main() -> None:
    """Ping the workers of this host, through the broker at PETSEARCH_REDIS_URL."""
    settings = Settings.from_environment()
    settings.require("redis_url")
    if not answers(settings.redis_url, host=socket.gethostname()):
        sys.exit(f"No worker on this host answered within {_TIMEOUT_S:g} s.")


if __name__ == "__main__":
    main()
