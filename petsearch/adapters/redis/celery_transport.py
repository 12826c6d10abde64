"""kombu's Redis transport, patched: a worker survives the loss of Redis during a task."""

from typing import Any

from kombu.transport import TRANSPORT_ALIASES, redis


class Channel(redis.Channel):
    """A channel that raises `ConnectionError` when it is used after its connection was closed.

    kombu 5.7 raises an AttributeError, which is not caught there: it ends the worker, with exit
    code 0. That happens when Redis goes away while a worker has a task and is free for
    another, and when a task ends after the worker has connected again (acks_late). A
    ConnectionError is caught at both places, and the message is handed out again later.
    """

    def _connparams(self, asynchronous: bool = False) -> dict[str, Any]:  # noqa: FBT001, FBT002  # kombu's
        if self.connection is None or self.connection.client is None:
            raise ConnectionError("the connection of this channel was closed")
        parameters: dict[str, Any] = super()._connparams(asynchronous)  # type: ignore[no-untyped-call]
        return parameters


class Transport(redis.Transport):
    """A transport with that channel."""

    Channel = Channel


def install() -> None:
    """Register it for `redis`, `rediss` and `redis+socket` URLs, before the first connection."""
    # By name, because a transport that is given as such is not used for `redis+socket`.
    TRANSPORT_ALIASES.update(dict.fromkeys(("redis", "rediss"), f"{__name__}:Transport"))
