"""kombu's Redis transport, mended: a worker outlives a Redis that goes away while it is at work."""

from typing import Any

from kombu.transport import TRANSPORT_ALIASES, redis

_NAMES = ("redis", "rediss")


class Channel(redis.Channel):
    """A channel that says so when it is used after its connection was closed.

    kombu 5.7 answers with an AttributeError, which nobody expects there: it ends the worker, with
    exit code 0. That happens when Redis goes away while a worker has a task and is free for
    another, and when a task ends after the worker has connected again (acks_late). A
    ConnectionError is caught at both places, and the message is handed out again later.
    """

    def _connparams(self, asynchronous: bool = False) -> dict[str, Any]:  # noqa: FBT001, FBT002  # kombu's
        if self.connection is None or self.connection.client is None:
            raise ConnectionError("the connection of this channel was closed")
        parameters: dict[str, Any] = super()._connparams(asynchronous)  # type: ignore[no-untyped-call]
        return parameters


class Transport(redis.Transport):
    """The transport with that channel."""

    Channel = Channel


def install() -> None:
    """Use it for `redis://`, `rediss://` and `redis+socket://`. Before the first connection."""
    # By name, because a transport that is given as such is not used for `redis+socket`.
    for name in _NAMES:
        TRANSPORT_ALIASES[name] = f"{__name__}:Transport"
