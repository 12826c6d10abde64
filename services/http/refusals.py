"""Refuses requests, also in the middle of their bodies."""

from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from petsearch.domain.errors import PetsearchError
from services.http.problems import problem_of


async def run_refusably(
    app: ASGIApp, scope: Scope, receive: Receive, send: Send, *, closes: bool = True
) -> None:
    """Run `app` for a request; the errors of petsearch that `receive` raises are its refusal.

    `app` sees the client leave, and what it makes of half a body is not sent.

    Args:
        closes: see `refuse`.
    """
    refusal: PetsearchError | None = None
    is_answered = False

    async def receive_or_leave() -> Message:
        nonlocal refusal
        if refusal is None:
            try:
                return await receive()
            except PetsearchError as error:
                refusal = error
        return {"type": "http.disconnect"}

    async def send_in_time(message: Message) -> None:
        nonlocal is_answered
        if refusal is not None and not is_answered:
            return
        is_answered = True
        await send(message)

    try:
        await app(scope, receive_or_leave, send_in_time)
    except ClientDisconnect:
        if refusal is None:
            raise
    if refusal is not None and not is_answered:
        await refuse(refusal, scope, receive, send, closes=closes)


async def refuse(
    error: PetsearchError, scope: Scope, receive: Receive, send: Send, *, closes: bool = True
) -> None:
    """Answer a request with the problem document of an error.

    Args:
        closes: what is left of its body is not read.
    """
    response = problem_of(error, scope.get("request_id", ""))
    if closes:
        response.headers["Connection"] = "close"
    await response(scope, receive, send)
