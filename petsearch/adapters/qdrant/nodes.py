"""Several nodes of one Qdrant cluster behind what looks like a single client.

A call goes to a node that answers. One that cannot be reached is avoided from then on, and asked
in the background until it answers again, so that no caller waits for it. Every call that our index
makes may be repeated. A read is made elsewhere when half of the caller's time has passed: a host
that is cut off refuses nothing, it falls silent.
"""

import threading
import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext, suppress
from typing import Any, TypeVar

import grpc
import httpx
from qdrant_client import QdrantClient, models
from qdrant_client.http.exceptions import ResponseHandlingException, UnexpectedResponse

from petsearch.domain import deadline
from petsearch.observability import get_logger

log = get_logger(__name__)
_Answer = TypeVar("_Answer")

LOOK_AGAIN_S = 2.0
"""Between two looks at a node that is away."""
_FAIR_S = 1.0
"""A node that had less time to answer, because a deadline was near, is not taken for away."""
_SPREAD = frozenset({"count", "facet", "query_points", "retrieve", "scroll"})
"""Reads of points are spread over the nodes. All else goes to one while it answers: what it wrote
of collections and aliases another node may learn a moment later."""
_READS = _SPREAD | {"collection_exists", "get_collection", "get_collections"}


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
            def ask(client: QdrantClient) -> Any:
                return getattr(client, name)(*arguments, **options)

            order = self._choose(is_spread=name in _SPREAD)
            return self._first_answer(order, ask, is_read=name in _READS)[1]

        return call

    def get_aliases(self) -> models.CollectionsAliasesResponse:
        """Those that a node knows; that there are none is believed where a second one says it.

        A node that knows none while another does has lost its volume and is no part of the cluster.
        It is avoided until it knows some.
        """
        order = self._choose(is_spread=False)
        number, found = self._first_answer(order, _aliases_of)
        if found.aliases or len(order) == 1:
            return found
        others = [other for other in order if other != number]
        _, known = self._first_answer(others, _aliases_of)
        if known.aliases:
            self._note_away(number, "it knows no alias, and another one does")
        return known

    def _first_answer(
        self, order: Sequence[int], ask: Callable[[QdrantClient], _Answer], *, is_read: bool = True
    ) -> tuple[int, _Answer]:
        """Who answers first in this order, and what."""
        for place, number in enumerate(order):
            others = order[place + 1 :]
            leaves_time = is_read and any(other not in self._away for other in others)
            with deadline.half_of_what_is_left() if leaves_time else nullcontext():
                had_s = deadline.left_s()
                try:
                    return number, ask(self._clients[number])
                except Exception as error:  # all but a failure of this node is passed on
                    goes_on = self._goes_on_after(number, error, had_s, leaves_time=leaves_time)
                    if not (goes_on and others):
                        raise
        raise AssertionError("there are nodes")

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
                    with suppress(RuntimeError):  # at the limit of threads: a later call looks
                        threading.Thread(target=self._look, args=(number,), daemon=True).start()
                        self._away[number] = float("inf")  # until this look has ended
            return sorted(turn, key=lambda number: number in self._away)

    def _goes_on_after(
        self, number: int, error: Exception, had_s: float, *, leaves_time: bool
    ) -> bool:
        """Whether the next node is asked; notes one that is away, unless it had too little time."""
        is_away, is_sent = _is_away(error)
        if is_away and (had_s >= _FAIR_S or not (is_sent or _is_late(error))):
            self._note_away(number, str(error))
        return (is_away and (leaves_time or not is_sent)) or _has_failed(error)

    def _note_away(self, number: int, reason: str) -> None:
        with self._changing:
            if number not in self._away:
                log.warning("a node of the index is avoided", node=number, reason=reason)
                self._away[number] = self._clock()

    def _look(self, number: int) -> None:
        try:
            is_back = bool(_aliases_of(self._clients[number]).aliases)
        except Exception:  # a thread's edge: it is looked at again
            is_back = False
        with self._changing:
            if is_back:
                del self._away[number]
            else:
                self._away[number] = self._clock()
        if is_back:
            log.info("a node of the index answers again", node=number)


def _aliases_of(client: QdrantClient) -> models.CollectionsAliasesResponse:
    return client.get_aliases()


def _is_away(error: Exception) -> tuple[bool, bool]:
    """Whether a node does not answer, and whether it was waited for in vain."""
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
