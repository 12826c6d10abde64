"""How many bytes of bodies are taken: of one request, and of all that are being answered."""

from collections.abc import Mapping

from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from petsearch.domain.errors import Overloaded, PetsearchError, TooLarge
from services.http.problems import problem_of

_RETRY_AFTER_S = 1.0


class BodyLimit:
    """Refuses request bodies over a limit, by their declared and by their real size.

    Args:
        max_bytes: of one request; more is 413.
        max_bytes_of: the same by path, where it is not `max_bytes`.
        max_held_bytes: of all requests whose answers are not sent yet, for services that keep
            bodies in memory; a request that brings more is 429. None: no limit.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        max_bytes: int,
        max_bytes_of: Mapping[str, int] | None = None,
        max_held_bytes: int | None = None,
    ) -> None:
        self._app = app
        self._max_bytes = max_bytes
        self._max_bytes_of = max_bytes_of or {}
        self._max_held_bytes = max_held_bytes
        self._held_bytes = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one connection."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        most = self._max_bytes_of.get(scope["path"], self._max_bytes)
        declared = Headers(scope=scope).get("content-length", "0")
        refusal = self._refusal(most, 0, int(declared)) if declared.isdecimal() else None
        if refusal is not None:
            await _refuse(refusal, scope, receive, send)
            return
        received = 0
        is_answered = False

        async def receive_counted() -> Message:
            nonlocal received, refusal
            message = await receive()
            more = len(message.get("body", b""))
            refusal = refusal or self._refusal(most, received, more)
            if refusal is not None:
                return {"type": "http.disconnect"}
            received += more
            self._held_bytes += more
            return message

        async def send_in_time(message: Message) -> None:
            nonlocal is_answered
            if refusal is not None and not is_answered:
                return  # what the application makes of half a body
            is_answered = True
            await send(message)

        try:
            await self._app(scope, receive_counted, send_in_time)
        except ClientDisconnect:
            if refusal is None:
                raise
        finally:
            self._held_bytes -= received
        if refusal is not None and not is_answered:
            await _refuse(refusal, scope, receive, send)

    def _refusal(self, most: int, received: int, more: int) -> PetsearchError | None:
        """Why a request that brought `received` bytes may not bring `more`, if it may not."""
        if received + more > most:
            return TooLarge(
                f"The request has more than {most / 1e6:.0f} MB, which is the most that is "
                "accepted. Send less at a time."
            )
        if self._max_held_bytes is not None and self._held_bytes + more > self._max_held_bytes:
            return Overloaded(
                "Too many large requests are being answered; send this one again shortly.",
                retry_after_s=_RETRY_AFTER_S,
            )
        return None


async def _refuse(error: PetsearchError, scope: Scope, receive: Receive, send: Send) -> None:
    response = problem_of(error, scope.get("request_id", ""))
    # What is left of the body is not read.
    response.headers["Connection"] = "close"
    await response(scope, receive, send)
