"""Several nodes of one Qdrant cluster behind what looks like a single client.

A call goes to a node that answers. One that cannot be reached is avoided from then on, and asked
in the background until it answers again, so that no caller waits for it. Every call that our index
makes may be repeated.
"""

import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

import grpc
import httpx
from qdrant_client import QdrantClient
from qdrant_client.http.exceptions import ResponseHandlingException, UnexpectedResponse

from petsearch.domain import deadline
from petsearch.observability import get_logger

log = get_logger(__name__)

LOOK_AGAIN_S = 2.0
"""Between two looks at a node that is away."""
_FAIR_S = 1.0
"""A node that had less time to answer, because a deadline was near, is not taken for away."""
_SPREAD = frozenset({"count", "facet", "query_points", "retrieve", "scroll"})
"""Reads of points are spread over the nodes. All else goes to one while it answers: what it wrote
of collections and aliases another node may learn a moment later."""


class Nodes:
    """Has the methods of a `QdrantClient`, and calls each on one of several.

    Args:
        clients: one for each node.
        clock: seconds, monotonic.
    """

    def __init__(
        self, clients: Sequence[QdrantClient], *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._clients = clients
        self._clock = clock
        self._changing = threading.Lock()
        self._next = 0
        self._away: dict[int, float] = {}
        """The numbers of nodes that did not answer, with when each was looked at last."""

    def __getattr__(self, name: str) -> Callable[..., Any]:
        def call(*arguments: Any, **options: Any) -> Any:
            order = self._choose(is_spread=name in _SPREAD)
            for number in order:
                had_s = deadline.left_s()
                try:
                    return getattr(self._clients[number], name)(*arguments, **options)
                except Exception as error:  # all but a failure of this node is passed on
                    if not self._goes_on_after(number, error, had_s) or number == order[-1]:
                        raise
            raise AssertionError("there are nodes")

        return call

    def close(self) -> None:
        """Close the connections to all nodes."""
        for client in self._clients:
            client.close()

    def _choose(self, *, is_spread: bool) -> list[int]:
        """All nodes, those that are away last."""
        count = len(self._clients)
        with self._changing:
            first = self._next if is_spread else 0
            self._next = (self._next + is_spread) % count
            turn = [(first + offset) % count for offset in range(count)]
            now = self._clock()
            for number, looked_at in self._away.items():
                if now - looked_at >= LOOK_AGAIN_S:
                    self._away[number] = float("inf")  # until this look has ended
                    threading.Thread(target=self._look, args=(number,), daemon=True).start()
            return sorted(turn, key=lambda number: number in self._away)

    def _goes_on_after(self, number: int, error: Exception, had_s: float) -> bool:
        """Whether the next node is asked; notes one that is away, unless it had too little time."""
        is_away, is_sent = _is_away(error)
        if is_away and (had_s >= _FAIR_S or not (is_sent or _is_late(error))):
            self._note_away(number, error)
        return (is_away and not is_sent) or _has_failed(error)

    def _note_away(self, number: int, error: Exception) -> None:
        with self._changing:
            if number not in self._away:
                log.warning("a node of the index does not answer", node=number, reason=str(error))
                self._away[number] = self._clock()

    def _look(self, number: int) -> None:
        try:
            self._clients[number].get_collections()
        except Exception:  # a thread's edge: it is looked at again
            with self._changing:
                self._away[number] = self._clock()
            return
        with self._changing:
            del self._away[number]
        log.info("a node of the index answers again", node=number)


def _is_away(error: Exception) -> tuple[bool, bool]:
    """Whether a node does not answer, and whether the caller has waited for it in vain.

    Another node is not asked then: the caller's time is over.
    """
    if isinstance(error, ResponseHandlingException):
        timeouts = (httpx.ReadTimeout, httpx.WriteTimeout)
        is_away = isinstance(error.source, httpx.TransportError)
        return is_away, isinstance(error.source, timeouts)
    code = _code_of(error)
    is_late = code is grpc.StatusCode.DEADLINE_EXCEEDED
    return is_late or code is grpc.StatusCode.UNAVAILABLE, is_late


def _is_late(error: Exception) -> bool:
    """Whether there was no time even to connect."""
    timeouts = (httpx.ConnectTimeout, httpx.PoolTimeout)
    return isinstance(error, ResponseHandlingException) and isinstance(error.source, timeouts)


def _has_failed(error: Exception) -> bool:
    """Whether a node answers that it cannot do it, which another one may."""
    if isinstance(error, UnexpectedResponse):
        return (error.status_code or 500) >= 500
    return _code_of(error) is grpc.StatusCode.INTERNAL


def _code_of(error: Exception) -> grpc.StatusCode | None:
    # What is raised is also a grpc.Call, which has a code.
    return error.code() if isinstance(error, grpc.Call) else None
