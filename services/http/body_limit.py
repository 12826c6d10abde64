"""How many bytes of bodies are taken, and how slowly: of one request, and of all at a time."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from starlette.datastructures import Headers
from starlette.types import Message, Receive, Scope, Send

from petsearch.domain.errors import Overloaded, PetsearchError, TooLarge, TooSlow
from services.http.asgi import HttpMiddleware
from services.http.refusals import refuse, run_refusably

_RETRY_AFTER_S = 1.0
LEAST_BYTES_PER_S = 8 * 1024
"""What a slow phone reaches."""
WINDOW_S = 10.0


@dataclass(eq=False)
class BodyLimit(HttpMiddleware):
    """Refuses request bodies over a limit, by their declared and by their real size.

    A body also has to come at `LEAST_BYTES_PER_S` in every window: a connection that stalls
    is closed, however much it has sent.
    """

    max_bytes_of: Callable[[Scope], int]
    """Of a request by its scope; more is 413."""
    max_held_bytes: int | None = None
    """Of all requests whose answers are not sent yet, where their bodies are held in memory; a
    request that brings more is 429. None: no limit."""
    is_held: Callable[[Scope], bool] = lambda _: True
    """Whether the body of a request is held in memory."""
    window_s: float = WINDOW_S
    """Of waiting for a body, in which it must come at the least rate."""
    _held_bytes: int = field(default=0, init=False)

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        most, is_held = self.max_bytes_of(scope), self.is_held(scope)
        held = self.max_held_bytes if is_held else None
        declared = Headers(scope=scope).get("content-length", "0")
        refusal = self._refusal(most, held, 0, int(declared)) if declared.isdecimal() else None
        if refusal is not None:
            await refuse(refusal, scope, receive, send)
            return
        received = 0
        timely = _Timely(receive, self.window_s)

        async def receive_counted() -> Message:
            nonlocal received
            message = await timely.receive()
            more = len(message.get("body", b""))
            if (refusal := self._refusal(most, held, received, more)) is not None:
                raise refusal
            received += more
            self._held_bytes += more if is_held else 0
            return message

        try:
            await run_refusably(self.app, scope, receive_counted, send)
        finally:
            self._held_bytes -= received if is_held else 0

    def _refusal(
        self, most: int, most_held: int | None, received: int, more: int
    ) -> PetsearchError | None:
        """Why a request that brought `received` bytes may not bring `more`, if it may not."""
        if received + more > most:
            size = f"{most / 1e6:.0f} MB" if most >= 1e6 else f"{most / 1e3:.0f} kB"
            return TooLarge(
                f"The request has more than {size}, which is the most that is accepted here. "
                "Send less at a time."
            )
        if most_held is not None and self._held_bytes + more > most_held:
            return Overloaded(
                "Too many large requests are being answered; send this one again shortly.",
                retry_after_s=_RETRY_AFTER_S,
            )
        return None


class _Timely:
    """Receives a body that must come at a least rate; what follows it may take its time."""

    def __init__(self, receive: Receive, window_s: float) -> None:
        self._receive = receive
        self._window_s = window_s
        self._bytes = 0
        self._left_s = window_s
        """Of waiting in this window: what the application takes to process does not count."""
        self._is_complete = False

    async def receive(self) -> Message:
        """Raises TooSlow: too little came within a window."""
        if self._is_complete:
            return await self._receive()
        began = time.monotonic()
        try:
            async with asyncio.timeout(self._left_s):
                message = await self._receive()
        except TimeoutError:
            raise TooSlow(
                f"The body came slower than {LEAST_BYTES_PER_S // 1024} KB/s; send it again."
            ) from None
        self._is_complete = not message.get("more_body", False)
        self._bytes += len(message.get("body", b""))
        self._left_s -= time.monotonic() - began
        if self._bytes >= LEAST_BYTES_PER_S * self._window_s:
            self._left_s, self._bytes = self._window_s, 0
        return message
