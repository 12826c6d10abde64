"""Rooms: a few requests of a kind are answered at a time, some wait, the rest are refused."""

import asyncio
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import httpx
import pytest
from fastapi import FastAPI, Request
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect
from starlette.types import Message, Receive, Scope, Send
from structlog.testing import capture_logs

from petsearch.domain.errors import Overloaded
from services.api.authorisation import ROUTES, AccessTable
from services.api.routes.rooms import rooms_of
from services.http.admission import Admission, Room
from services.http.draining import Draining
from services.http.full_rooms import FullRooms
from services.http.middleware import RequestContext, security_headers
from services.http.problems import add_problem_handlers
from services.http.protocol import MOST_WAITING, BoundedProtocol
from tests import coroutines
from tests.app_server import served_app
from tests.waiting import wait_until

_S = 30
_LARGE = 1024 * 1024


class WatchedRoom(Room):
    """A room that says how many wait for a place in it."""

    @property
    def waiting(self) -> int:
        """Requests that wait."""
        return len(self._waiting)


@dataclass
class House:
    """A service with a room of one place and one to wait, whose answers wait until it opens."""

    room: WatchedRoom = field(default_factory=lambda: WatchedRoom("some", 1, 1, patience_s=_S))
    opened: threading.Event = field(default_factory=threading.Event)
    inside: threading.Event = field(default_factory=threading.Event)
    pool: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(4))
    draining: Draining = field(default_factory=Draining)
    refused: list[tuple[str, int, int]] = field(default_factory=list)
    url: str = ""

    def answer(self) -> None:
        """Wait inside until the house opens."""
        self.inside.set()
        assert self.opened.wait(_S)

    def call(self, method: str = "GET", content: bytes = b"") -> httpx.Response:
        """One request."""
        return httpx.request(method, self.url, content=content, timeout=_S)

    @property
    def address(self) -> tuple[str, int]:
        """Where it listens."""
        parts = urlsplit(self.url)
        assert parts.hostname and parts.port
        return parts.hostname, parts.port

    def fill(self) -> tuple[Future[httpx.Response], Future[httpx.Response]]:
        """One request inside, and one that waits."""
        first = self.pool.submit(self.call)
        assert self.inside.wait(_S)
        second = self.pool.submit(self.call)
        wait_until(lambda: self.room.waiting == 1)
        return first, second


@pytest.fixture
def house() -> Iterator[House]:
    app, house = FastAPI(), House()

    @app.api_route("/", methods=["GET", "HEAD", "POST"])
    async def answer(request: Request) -> int:
        body = await request.body()
        await run_in_threadpool(house.answer)
        return len(body)

    @app.get("/health")
    async def health() -> str:
        return "ok"

    def room_of(scope: Scope) -> Room | None:
        return house.room if scope["path"] == "/" else None

    def as_sent(scope: Scope) -> Scope:
        return {**scope, "path": scope["path"].removeprefix("/prefix")}

    add_problem_handlers(app)
    app.add_middleware(Admission, room_of=room_of)
    app.state.full_rooms = FullRooms(
        room_of,
        as_sent=as_sent,
        count=lambda *refused: house.refused.append(refused),
        draining=house.draining,
    )
    with served_app(app, http=BoundedProtocol) as url, house.pool:
        house.url = url
        try:
            yield house
        finally:
            house.opened.set()


def test_one_is_answered_one_waits_and_the_next_is_refused(house: House) -> None:
    first, second = house.fill()
    for refused in (house.call(), house.call("POST", b"some")):
        assert refused.status_code == 429
        assert refused.headers["retry-after"] == "1"
        assert "try again soon" in refused.json()["detail"]
    assert httpx.get(f"{house.url}/health").json() == "ok"
    house.opened.set()
    assert (first.result().status_code, second.result().status_code) == (200, 200)
    assert house.call("POST", b"some").json() == 4


def test_a_refusal_is_a_problem_with_its_id_and_the_headers_of_every_response(
    house: House,
) -> None:
    house.fill()
    named = httpx.get(house.url, headers={"X-Request-Id": "my-batch-7"})
    problem = named.json()
    assert (problem["status"], problem["request_id"]) == (429, "my-batch-7")
    assert named.headers["content-type"] == "application/problem+json"
    for name, value in security_headers().items():
        assert named.headers[name] == value
    others = [house.call() for _ in range(2)]
    ids = {answer.headers["x-request-id"] for answer in (named, *others)}
    assert ids == {answer.json()["request_id"] for answer in (named, *others)}
    assert len(ids) == 3
    head = httpx.head(house.url)
    assert (head.status_code, head.content) == (429, b"")


def test_refusals_are_counted_and_logged_by_their_number(house: House) -> None:
    async def run() -> None:
        full_rooms = FullRooms(lambda _: Room("some", 0, 0))
        for _ in range(3):
            scope = {**_scope("GET /v1/images"), "scheme": "http", "headers": []}
            assert full_rooms.approach(scope, [], keeps=True)
        while not lines:
            await asyncio.sleep(0.01)

    with capture_logs() as lines:
        coroutines.run(run())
    assert [(line["event"], line["some"]) for line in lines] == [("requests refused", 3)]
    house.fill()
    house.call()
    house.call()
    house.call("POST", b"some")
    wait_until(lambda: sorted(house.refused) == [("GET", 429, 2), ("POST", 429, 1)])


def test_a_refusal_behind_a_prefix_is_one(house: House) -> None:
    house.fill()
    assert httpx.get(f"{house.url}/prefix/").status_code == 429


def test_rooms_are_found_behind_what_uvicorn_wraps_an_app_in() -> None:
    app = FastAPI()
    app.state.full_rooms = FullRooms(lambda _: Room("some", 0, 0))
    with served_app(app, http=BoundedProtocol, proxy_headers=True) as url:
        assert httpx.get(url).status_code == 429


def test_a_request_that_never_reaches_its_room_leaves_its_approach() -> None:
    app, room = FastAPI(), Room("some", 1, 9)
    app.state.full_rooms = FullRooms(lambda _: room)
    with served_app(app, http=BoundedProtocol) as url:
        assert httpx.get(url).status_code == 404
        wait_until(lambda: room.approaching == 0)


def test_a_refusal_closes_the_connection_where_the_client_or_the_server_ends(house: House) -> None:
    house.fill()
    assert "connection" not in house.call().headers
    asked = httpx.get(house.url, headers={"Connection": "close"})
    assert (asked.status_code, asked.headers["connection"]) == (429, "close")
    house.draining.has_begun = True
    assert house.call().headers["connection"] == "close"


def test_requests_behind_one_that_is_answered_are_refused_in_their_order(house: House) -> None:
    many = MOST_WAITING
    ids = [f"id-{number}" for number in range(many)]
    with socket.create_connection(house.address, _S) as connection:
        connection.sendall(_get("inside"))
        assert house.inside.wait(_S)
        waiting = house.pool.submit(house.call)
        wait_until(lambda: house.room.waiting == 1)
        connection.sendall(b"".join(map(_get, ids)))
        house.room.approaching += 9  # full until the end
        house.opened.set()
        got = bytearray()
        while got.count(b"HTTP/1.1 429 ") < many:
            got += connection.recv(1 << 20)
    assert waiting.result().status_code == 200
    assert got.startswith(b"HTTP/1.1 200 ")
    places = [got.index(f"x-request-id: {one}\r\n".encode()) for one in ids]
    assert places == sorted(places)


def test_a_client_that_still_sends_its_large_body_is_not_cut_off(house: House) -> None:
    house.fill()
    with socket.create_connection(house.address, _S) as connection:
        head = f"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: {_LARGE}\r\n\r\n"
        connection.sendall(head.encode())
        got = connection.recv(65536)
        for _ in range(16):
            connection.sendall(bytes(_LARGE // 16))  # fails if the connection was reset
        assert got.startswith(b"HTTP/1.1 429 ")
        assert b"".join(iter(lambda: connection.recv(65536), b"")) == b""


def _get(request_id: str) -> bytes:
    return f"GET / HTTP/1.1\r\nHost: x\r\nX-Request-Id: {request_id}\r\n\r\n".encode()


def test_a_refused_connection_goes_on_after_a_small_body_alone(house: House) -> None:
    house.fill()
    with httpx.Client(base_url=house.url) as client:
        assert "connection" not in client.post("/", content=b"some").headers
        assert client.post("/", content=b"x" * _LARGE).headers["connection"] == "close"
        assert client.post("/", content=iter([b"some"])).headers["connection"] == "close"


def test_a_body_takes_no_place_while_it_comes(house: House) -> None:
    with socket.create_connection(house.address, _S) as slow:
        slow.sendall(b"POST / HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 4\r\n\r\nso")
        first, second = house.fill()
        slow.sendall(b"me")
        assert slow.recv(65536).startswith(b"HTTP/1.1 429 "), "it is full now"
    house.opened.set()
    assert (first.result().status_code, second.result().status_code) == (200, 200)


def test_those_whose_key_is_looked_at_count_as_waiting() -> None:
    room = Room("some", 1, 1)
    first, _second = room.approach(), room.approach()
    with pytest.raises(Overloaded):
        room.approach()
    first.end()
    first.end()
    room.approach()
    with pytest.raises(Overloaded):
        room.approach()


def test_who_waits_longer_than_patience_is_refused_and_who_leaves_frees_the_queue() -> None:
    async def run() -> None:
        room = WatchedRoom("some", 1, 2, patience_s=0.05)
        await room.enter()
        with pytest.raises(Overloaded):
            await room.enter()
        room = WatchedRoom("some", 1, 2, patience_s=_S)
        await room.enter()
        leaving, staying = (asyncio.create_task(room.enter()) for _ in range(2))
        await asyncio.sleep(0)
        leaving.cancel()
        await asyncio.wait([leaving])
        assert room.waiting == 1
        room.leave()
        await staying
        room.leave()
        await room.enter()  # a place that nobody waits for is there

    coroutines.run(run())


def test_every_route_that_works_in_a_thread_has_a_room_and_health_has_none() -> None:
    room_of = rooms_of(AccessTable())
    rooms = {name: room_of(_scope(name)) for name in ROUTES}
    for name in ("GET /livez", "GET /readyz", "GET /v1/jobs/{job_id}/events"):
        assert rooms[name] is None, name
    kinds = ("GET /v1/search", "POST /v1/search/image", "POST /v1/images", "GET /v1/images")
    assert None not in {rooms[name] for name in kinds}
    assert len({id(rooms[name]) for name in kinds}) == len(kinds)


def test_who_never_reads_the_answer_holds_no_place() -> None:
    async def answer(_scope: Scope, _receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})

    async def run() -> None:
        room, stuck = Room("some", 1, 0), asyncio.Event()

        async def never_read(_message: Message) -> None:
            stuck.set()
            await asyncio.Event().wait()

        async def receive() -> Message:
            return {"type": "http.request", "body": b""}

        served = Admission(answer, room_of=lambda _: room)
        scope = {**_scope("GET /v1/images"), "headers": []}
        reader = asyncio.create_task(served(scope, receive, never_read))
        await stuck.wait()
        await room.enter()
        reader.cancel()

    coroutines.run(run())


def _scope(name: str) -> Scope:
    method, path = name.split()
    return {"type": "http", "method": method, "path": path.replace("{job_id}", "j1")}


def test_a_caller_who_has_left_is_no_failure() -> None:
    sent = list[Message]()

    async def answer(_scope: Scope, _receive: Receive, _send: Send) -> None:
        raise ClientDisconnect

    async def receive() -> Message:
        return {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        sent.append(message)

    scope = {**_scope("GET /v1/search"), "headers": []}
    coroutines.run(RequestContext(answer)(scope, receive, send))
    assert not sent
