"""How many requests of a kind are answered at a time: more wait a moment, the rest are refused.

What a process cannot do in time it should refuse at once, while that costs next to nothing.
Otherwise all wait until their deadlines have passed, and nothing is answered at all.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from starlette.types import Message, Receive, Scope, Send

from petsearch.domain.errors import Overloaded
from services.http.asgi import HttpMiddleware
from services.http.refusals import refuse, run_refusably

_RETRY_AFTER_S = 1.0
_PATIENCE_S = 1.5
_APPROACH = "petsearch.approach"


class Room:
    """Places for one kind of request, in an event loop.

    Args:
        name: of the kind, for the log.
        places: requests answered at a time.
        most_waiting: requests that may wait for a place.
        patience_s: how long each may.
    """

    def __init__(
        self, name: str, places: int, most_waiting: int, patience_s: float = _PATIENCE_S
    ) -> None:
        self.name = name
        self._free = places
        self._most_waiting = most_waiting
        self._patience_s = patience_s
        self._waiting: deque[asyncio.Future[None]] = deque()
        self.approaching = 0

    def approach(self) -> "Approach":
        """Let a request come near, where its key is looked at: it counts as one that waits.

        Raises:
            Overloaded: too many wait.
        """
        self._check()
        self.approaching += 1
        return Approach(self)

    async def enter(self) -> None:
        """Take a place, in the order of the calls.

        Raises:
            Overloaded: too many wait, or none became free in time.
        """
        self._check()
        if self._free and not self._waiting:
            self._free -= 1
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            await asyncio.wait_for(asyncio.shield(turn), self._patience_s)
        except BaseException as error:
            self._give_up(turn)
            if isinstance(error, TimeoutError):
                raise overloaded() from None
            raise

    def leave(self) -> None:
        """Give a place to the next one."""
        if self._waiting:
            self._waiting.popleft().set_result(None)
        else:
            self._free += 1

    def end_approach(self) -> None:
        """A request is here, or has turned back; see `Approach`."""
        self.approaching -= 1

    @property
    def is_full(self) -> bool:
        """Whether as many wait, or come near, as may."""
        return len(self._waiting) + self.approaching >= self._most_waiting + self._free

    def _check(self) -> None:
        if self.is_full:
            raise overloaded()

    def _give_up(self, turn: asyncio.Future[None]) -> None:
        if turn.done():  # it was given a place as it left
            self.leave()
        else:
            self._waiting.remove(turn)


class Approach:
    """A request on its way to a room."""

    def __init__(self, room: Room) -> None:
        self._room: Room | None = room

    def end(self) -> None:
        """It is here, or has turned back; a second call does nothing."""
        if self._room is not None:
            self._room.end_approach()
            self._room = None


RoomOf = Callable[[Scope], Room | None]
"""The room of a request; None where it needs none."""


def approach(room: Room, scope: Scope) -> None:
    """Let the request of a scope come near a room that is not full.

    `end_approach` is to be called for it, at the latest when it has its response.
    """
    scope[_APPROACH] = room.approach()


def end_approach(scope: Scope) -> None:
    """The request of a scope is in its room, or has its response; a second call does nothing."""
    if (made := scope.get(_APPROACH)) is not None:
        made.end()


@dataclass(eq=False)
class Admission(HttpMiddleware):
    """Lets requests into their rooms; with a body once it has come, however long that takes."""

    room_of: RoomOf

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        if (room := self.room_of(scope)) is None:
            await self.app(scope, receive, send)
            return
        end_approach(scope)
        visit = _Visit(room, receive, send)
        try:
            if not body_bytes(scope):
                await visit.enter()
        except Overloaded as error:
            await refuse(error, scope, receive, send, closes=False)
            return
        try:
            await run_refusably(self.app, scope, visit.receive, visit.send, closes=False)
        finally:
            visit.leave()


class _Visit:
    """A request's way into its room, and out once it is answered.

    What is left then waits for the client alone, who may be slow or never read.
    """

    def __init__(self, room: Room, receive: Receive, send: Send) -> None:
        self._room = room
        self._receive = receive
        self._send = send
        self._is_inside = False
        self._has_left = False

    async def enter(self) -> None:
        await self._room.enter()
        self._is_inside = True

    async def receive(self) -> Message:
        message = await self._receive()
        is_whole = message["type"] == "http.request" and not message.get("more_body", False)
        if is_whole and not (self._is_inside or self._has_left):
            await self.enter()
        return message

    async def send(self, message: Message) -> None:
        self.leave()
        await self._send(message)

    def leave(self) -> None:
        self._has_left = True
        if self._is_inside:
            self._is_inside = False
            self._room.leave()


def body_bytes(scope: Scope) -> float:
    """The size of a request's body, as declared; infinite where a body comes in chunks."""
    declared = b"0"
    for name, value in scope["headers"]:
        if name == b"transfer-encoding":
            return float("inf")
        if name == b"content-length":
            declared = value
    return int(declared) if declared.isdigit() else 0


def overloaded() -> Overloaded:
    """Why a request has no place in its room."""
    return Overloaded(
        "Too many requests of this kind are being answered at the moment; try again soon.",
        retry_after_s=_RETRY_AFTER_S,
    )
