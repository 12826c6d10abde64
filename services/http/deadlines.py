"""One deadline for every request, which all that its answer waits for is held to."""

import asyncio
import contextvars
import math
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from starlette.types import Message, Receive, Scope, Send

from petsearch.domain import deadline
from petsearch.domain.errors import Unavailable
from petsearch.observability import get_logger
from services.http.asgi import HttpMiddleware
from services.http.problems import problem_of

log = get_logger(__name__)

_GRACE_S = 0.3
"""For what keeps to the deadline, and says better what is away than can be said here."""
_LOOK_S = 0.25
_FREE_BYTES = 4 * 1024 * 1024
_BYTES_PER_S = 1024 * 1024
"""What a body may take to be stored, beyond the first bytes."""


@dataclass(eq=False)
class Deadlines(HttpMiddleware):
    """Sets the deadline of each request, and answers 503 if nothing was answered by then.

    What the client takes to send a body does not count, and a large body may take longer to be
    stored. The deadline is lifted when the answer begins. Work that overruns it continues in its
    thread; its response is discarded.
    """

    seconds_of: Callable[[Scope], float | None]
    """How long a request may take; None for one that has no deadline."""
    _late: set[asyncio.Task[None]] = field(default_factory=set, init=False)

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        if (seconds := self.seconds_of(scope)) is None:
            await self.app(scope, receive, send)
            return
        answer = _Answer(seconds, receive, send)
        context = contextvars.copy_context()
        context.run(deadline.set_current, answer.deadline)
        # A task of its own, because what runs in a thread cannot be ended.
        app = self.app(scope, answer.receive, answer.send)
        task = asyncio.get_running_loop().create_task(_run(app), context=context)
        try:
            await answer.wait_for(task)
        except BaseException:
            task.cancel()
            raise
        finally:
            _take_over(context)
        if task.done():
            task.result()
            return
        answer.is_dropped = True
        self._late.add(task)
        task.add_done_callback(self._forget)
        part = answer.deadline.waits_for or "what it needs"
        log.warning("no answer before the deadline", path=scope["path"], waits_for=part)
        late = Unavailable(f"No answer within {seconds:g} s; it waited for {part}.")
        await problem_of(late, scope.get("request_id", ""))(scope, receive, send)

    def _forget(self, task: asyncio.Task[None]) -> None:
        self._late.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.warning("a request failed after its deadline", reason=str(error))


class _Answer:
    """A request's messages, and its deadline, which moves with them."""

    def __init__(self, seconds: float, receive: Receive, send: Send) -> None:
        self.deadline = deadline.Deadline(seconds)
        self.is_dropped = False
        """Somebody else has answered."""
        self._receive = receive
        self._send = send
        self._free_bytes = _FREE_BYTES
        self._is_received = False
        self._has_begun = False

    async def receive(self) -> Message:
        if self._is_received:
            return await self._receive()
        left_s = self.deadline.left_s
        self.deadline.lift()
        try:
            message = await self._receive()
            self._is_received = not message.get("more_body", False)
            self._free_bytes -= len(message.get("body", b""))
            if self._free_bytes < 0:
                left_s -= self._free_bytes / _BYTES_PER_S
                self._free_bytes = 0
        finally:
            # Also when the wait for a body is cancelled, but not for an answer that has begun.
            if not self._has_begun:
                self.deadline.left_s = left_s
        return message

    async def send(self, message: Message) -> None:
        if self.is_dropped:
            return
        self._has_begun = True
        self.deadline.lift()
        await self._send(message)

    async def wait_for(self, task: asyncio.Task[None]) -> None:
        """Until the task is done, or its deadline has passed before it sent anything."""
        while not task.done() and (left_s := self.deadline.left_s + _GRACE_S) > 0:
            # Infinite: a body is being received, and the deadline will be set again.
            soon_s = left_s if left_s < math.inf else _LOOK_S
            await asyncio.wait([task], timeout=None if self._has_begun else soon_s)


async def _run(app: Awaitable[None]) -> None:
    await app


def _take_over(context: contextvars.Context) -> None:
    """Set what a task set in its context: fields of log lines."""
    for variable, value in context.items():
        if variable.get(None) is not value:
            variable.set(value)
