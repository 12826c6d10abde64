"""The worker's health check: `python -m services.worker.ping` ends with 0 if one answers.

The question goes over the broker to the consumer itself, of any worker on this host: one that is
dead, stuck or cut off from Redis does not answer.
"""

import socket
import sys

from kombu.exceptions import OperationalError

from petsearch.adapters.redis import make_celery
from petsearch.settings import Settings
from services.worker.node import nodes_of_host

_PATIENCE_S = 3.0


def answers(broker_url: str, *, host: str, patience_s: float = _PATIENCE_S) -> bool:
    """Whether a worker on `host` answers within `patience_s`."""
    app = make_celery(broker_url)
    try:
        asked = app.control.inspect(
            pattern=nodes_of_host(host), matcher="glob", limit=1, timeout=patience_s
        )
        return bool(asked.ping())
    except OperationalError:  # Redis is gone
        return False
    finally:
        app.close()


def main() -> None:
    """Ask the workers of this host, at the broker of PETSEARCH_REDIS_URL."""
    settings = Settings.from_environment()
    settings.require("redis_url")
    if not answers(settings.redis_url, host=socket.gethostname()):
        sys.exit(f"No worker on this host answered within {_PATIENCE_S:g} s.")


if __name__ == "__main__":
    main()
