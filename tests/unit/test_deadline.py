"""Deadlines: how calls of the adapters are held to what is left of a request's time."""

import asyncio
import contextvars
import math
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import suppress
from typing import TypeVar

import numpy as np
import pytest
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from petsearch.adapters import embedder_http
from petsearch.adapters.objects import minio
from petsearch.adapters.qdrant.index import QdrantIndex
from petsearch.adapters.qdrant.index import connect as connect_to_qdrant
from petsearch.adapters.redis import RedisLedger
from petsearch.adapters.redis import client as redis_client
from petsearch.domain import Embeddings, Priority, deadline
from petsearch.domain.errors import PetsearchError, Unavailable
from petsearch.embedding.batching import Batcher, BatchingOptions, Rows
from services.http.deadlines import Deadlines
from tests.coroutines import run

T = TypeVar("T")

SOON_S = 0.3
LATEST_S = 2.5
"""Less than the shortest time-out of the adapters."""


@pytest.fixture
def silent_port() -> Iterator[int]:
    """A port that takes connections, on which nobody answers."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


def within(seconds: float, call: Callable[[], T]) -> T:
    """What a call returns that has so many seconds."""
    context = contextvars.copy_context()
    context.run(deadline.set_current, deadline.Deadline(seconds))
    return context.run(call)


def qdrant(port: int, *, use_grpc: bool) -> Callable[[], object]:
    """A call of the index; gRPC is on the port beside that of HTTP."""
    url = f"http://127.0.0.1:{port - use_grpc}"
    return QdrantIndex(connect_to_qdrant(url, use_grpc=use_grpc)).current


CALLS: dict[str, Callable[[int], Callable[[], object]]] = {
    "embedder": lambda port: embedder_http.connect(f"http://127.0.0.1:{port}").models,
    "two embedders": lambda port: (
        lambda: embedder_http.connect(
            f"http://127.0.0.1:{port},http://localhost:{port}"
        ).embed_texts(["cat"])
    ),
    "Qdrant over HTTP": lambda port: qdrant(port, use_grpc=False),
    "Qdrant over gRPC": lambda port: qdrant(port, use_grpc=True),
    "object store": lambda port: (
        minio.open_bucket(
            f"s3+http://127.0.0.1:{port}/pets", access_key="a", secret_key="secret-key"
        ).ping
    ),
    "Redis": lambda port: RedisLedger(redis_client.connect(f"redis://127.0.0.1:{port}/0")).ping,
}


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_a_part_that_does_not_answer_is_waited_for_until_the_deadline(
    name: str, silent_port: int
) -> None:
    call = CALLS[name](silent_port)
    began = time.monotonic()
    with pytest.raises(Unavailable):
        within(SOON_S, call)
    assert time.monotonic() - began < LATEST_S


@pytest.mark.parametrize("name", CALLS)
def test_nothing_is_sent_after_the_deadline_and_the_part_is_named(
    name: str, silent_port: int
) -> None:
    with pytest.raises(Unavailable, match="did not answer in time") as failure:
        within(0, CALLS[name](silent_port))
    assert name.split()[0].lower() in f"{failure.value} (embedder)".lower() or "two" in name


def test_rows_that_nobody_waits_for_any_more_are_not_encoded() -> None:
    encoded: list[int] = []
    begun, go_on = threading.Event(), threading.Event()

    def encode(rows: Rows) -> Embeddings:
        encoded.extend(int(row) for row in rows[:, 0])
        begun.set()
        assert go_on.wait(30)
        return np.zeros((len(rows), 2), np.float32)

    batcher = Batcher(BatchingOptions())
    batcher.add("rows", encode)

    def submit(number: int) -> Future[Embeddings]:
        return batcher.submit("rows", np.array([[number]]), Priority.QUERY)

    first = submit(1)
    assert begun.wait(30)
    late = within(0, lambda: submit(2))
    in_time = submit(3)
    go_on.set()
    assert first.result(30).shape == in_time.result(30).shape == (1, 2)
    with pytest.raises(Unavailable, match="in time"):
        late.result(30)
    assert encoded == [1, 3]
    assert batcher.queued_rows == 0
    batcher.close()


# --- the middleware ---------------------------------------------------------------------------


def answered(app: ASGIApp, *, seconds: float, body: list[bytes] | None = None) -> list[Message]:
    """What is sent for one request with a deadline, whose body comes in parts."""
    parts = [*(body or [b""])]
    sent: list[Message] = []

    async def receive() -> Message:
        await asyncio.sleep(0.05 if body else 0)
        part = parts.pop(0)
        return {"type": "http.request", "body": part, "more_body": bool(parts)}

    async def send(message: Message) -> None:
        sent.append(message)

    scope: Scope = {"type": "http", "path": "/", "method": "GET", "headers": []}
    run(Deadlines(app, seconds_of=lambda _: seconds)(scope, receive, send))
    return sent


def test_an_application_that_is_stuck_is_answered_for() -> None:
    go_on, noticed = threading.Event(), []

    def stuck() -> None:
        deadline.check("the index (Qdrant)")
        go_on.wait(30)

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await asyncio.to_thread(stuck)
        noticed.append("went on")
        await PlainTextResponse("too late")(scope, receive, send)

    async def ask() -> list[Message]:
        sent: list[Message] = []

        async def send(message: Message) -> None:
            sent.append(message)

        async def receive() -> Message:
            return {"type": "http.request", "body": b"", "more_body": False}

        scope: Scope = {"type": "http", "path": "/", "method": "GET", "headers": []}
        await Deadlines(app, seconds_of=lambda _: 0.1)(scope, receive, send)
        answered = len(sent)
        go_on.set()
        while not noticed:
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.01)
        assert len(sent) == answered, "what came later is dropped"
        return sent

    begin, rest = run(ask())
    assert begin["status"] == 503
    assert dict(begin["headers"])[b"retry-after"] == b"5"
    assert b"Qdrant" in rest["body"]


def test_the_time_that_a_body_takes_to_arrive_does_not_count() -> None:
    left: list[float] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        while (await receive())["more_body"]:
            pass
        left.append(deadline.left_s())
        await PlainTextResponse("received")(scope, receive, send)
        left.append(deadline.left_s())

    begin, _ = answered(app, seconds=0.5, body=[b"photo"] * 20)  # a second
    assert begin["status"] == 200
    assert 0 < left[0] <= 0.5
    assert left[1] == math.inf, "what is streamed has no deadline"


def test_who_waits_no_longer_for_a_body_has_the_deadline_again() -> None:
    async def app(_scope: Scope, receive: Receive, send: Send) -> None:
        with suppress(TimeoutError):
            await asyncio.wait_for(receive(), 0.01)
        assert 0 < deadline.left_s() <= 30
        await PlainTextResponse("early")(_scope, receive, send)

    async def ask() -> None:
        sent: list[Message] = []

        async def receive() -> Message:
            await asyncio.Event().wait()
            raise AssertionError("nothing is received")

        async def send(message: Message) -> None:
            sent.append(message)

        scope: Scope = {"type": "http", "path": "/", "method": "GET", "headers": []}
        await Deadlines(app, seconds_of=lambda _: 30)(scope, receive, send)
        assert sent[0]["status"] == 200

    run(ask())


def test_a_large_body_may_take_longer_to_be_stored() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        while (await receive())["more_body"]:
            pass
        assert 30 < deadline.left_s() < 34
        await PlainTextResponse("received")(scope, receive, send)

    body = [bytes(8 * 1024 * 1024)] * 4
    assert answered(app, seconds=5, body=body)[0]["status"] == 200


def test_an_error_of_the_application_is_its_caller_s() -> None:
    async def app(_scope: Scope, _receive: Receive, _send: Send) -> None:
        raise PetsearchError("as if there were no deadline")

    with pytest.raises(PetsearchError, match="as if"):
        answered(app, seconds=5)
