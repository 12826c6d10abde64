"""Waits for a request's body and its result without a thread, until the client disconnects."""

import asyncio
from concurrent.futures import Future
from typing import Any

from starlette.requests import ClientDisconnect, Request

from petsearch.domain import Embeddings


class ClientLeft(Exception):  # an event, not a fault
    """The client closed its connection before the response."""


async def read_body(request: Request) -> bytearray:
    """The request's body; what FastAPI reads by itself is in memory twice when it is joined.

    Raises:
        ClientLeft: the connection was closed before the end.
    """
    body = bytearray()
    try:
        async for part in request.stream():
            body += part
    except ClientDisconnect as error:
        raise ClientLeft from error
    return body


async def wait_for_result(future: Future[Embeddings], request: Request) -> Embeddings:
    """The future's result. A client that leaves takes its rows out of the queue.

    Raises:
        ClientLeft: the connection was closed before the result was there.
    """
    waiting = asyncio.wrap_future(future)
    leaving = asyncio.create_task(_until_closed(request))
    try:
        either: set[asyncio.Future[Any]] = {waiting, leaving}
        await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        if not waiting.done():
            raise ClientLeft
        return waiting.result()
    finally:
        leaving.cancel()
        # Does nothing to a result, nor to rows that are on the device already.
        waiting.cancel()


async def _until_closed(request: Request) -> None:
    # The body has been read, so what comes next is the end of the connection.
    while (await request.receive())["type"] != "http.disconnect":
        pass
