"""Requests to one of several addresses: what is passed over, what is sent again, what is not."""

import contextvars
from collections.abc import Iterator

import httpx
import pytest

from petsearch.domain import deadline
from petsearch.domain.errors import ConfigurationError
from petsearch.failover import ONLY, FailoverTransport, split_addresses

A, B = "http://127.0.0.1:8001", "http://127.0.0.2:8002"


class Servers(httpx.BaseTransport):
    """Answers with the address asked, or fails as `failing` says; `asked` is who was asked."""

    def __init__(self) -> None:
        self.failing: dict[str, type[httpx.TransportError]] = {}
        self.status = dict.fromkeys((A, B), 200)
        self.asked: list[str] = []
        self.patience_s: dict[str, float] = {}
        """How long the last request would have waited for each."""

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        address = f"{request.url.scheme}://{request.headers['Host']}"
        assert request.url.netloc.decode() == request.headers["Host"]
        self.asked.append(address)
        self.patience_s[address] = request.extensions["timeout"]["read"]
        if address in self.failing:
            raise self.failing[address]("no")
        request.read()
        return httpx.Response(self.status[address], text=f"{address} {request.content.decode()}")


@pytest.fixture
def servers() -> Servers:
    return Servers()


@pytest.fixture
def now() -> list[float]:
    return [100.0]


@pytest.fixture
def client(servers: Servers, now: list[float]) -> Iterator[httpx.Client]:
    transport = FailoverTransport((A, B), servers, clock=lambda: now[0])
    with httpx.Client(base_url=A, transport=transport) as opened:
        yield opened


def test_one_that_cannot_be_connected_to_is_passed_over_whatever_is_sent(
    client: httpx.Client, servers: Servers
) -> None:
    servers.failing[A] = httpx.ConnectError
    assert client.post("/v1/images", content=b"photo").text == f"{B} photo"
    assert servers.asked == [A, B]
    # It stays with the one that answers.
    assert client.get("/v1/search").text.startswith(B)
    assert servers.asked == [A, B, B]


def test_each_is_tried_once(client: httpx.Client, servers: Servers) -> None:
    servers.failing = {A: httpx.ConnectError, B: httpx.ConnectTimeout}
    with pytest.raises(httpx.ConnectTimeout):
        client.get("/v1/search")
    assert servers.asked == [A, B]


def test_what_was_cut_off_is_sent_again_only_if_it_may_be(
    client: httpx.Client, servers: Servers, now: list[float]
) -> None:
    servers.failing[A] = httpx.RemoteProtocolError
    with pytest.raises(httpx.RemoteProtocolError):
        client.post("/v1/images", content=b"photo")
    now[0] += 60
    servers.failing = {B: httpx.RemoteProtocolError}
    assert client.post("/v1/search/image", content=b"photo").text == f"{A} photo"


def test_a_slow_answer_is_nobodys_to_repeat(client: httpx.Client, servers: Servers) -> None:
    servers.failing[A] = httpx.ReadTimeout
    with pytest.raises(httpx.ReadTimeout):
        client.get("/v1/search")
    assert servers.asked == [A]


def test_one_that_hangs_is_avoided_and_then_tried_briefly_by_one_request(
    servers: Servers, now: list[float]
) -> None:
    transport = FailoverTransport((A, B), servers, round_robin=True, clock=lambda: now[0])
    with httpx.Client(base_url=A, transport=transport, timeout=15) as client:
        servers.failing[A] = httpx.ReadTimeout
        with pytest.raises(httpx.ReadTimeout):
            client.get("/")
        for _ in range(3):
            now[0] += 60
            servers.asked.clear()
            answers = [client.get("/").text for _ in range(4)]
            assert all(answer.startswith(B) for answer in answers)
            assert servers.asked.count(A) == 1
            assert servers.patience_s[A] <= 2
        servers.failing.clear()
        now[0] += 60
        servers.asked.clear()
        for _ in range(4):
            client.get("/")
        assert servers.asked.count(A) == 2
        assert servers.patience_s[A] == 15


def test_a_change_has_all_its_time_with_one_that_hung(
    client: httpx.Client, servers: Servers, now: list[float]
) -> None:
    servers.failing = {A: httpx.ReadTimeout, B: httpx.ReadTimeout}
    for _ in range(2):
        with pytest.raises(httpx.ReadTimeout):
            client.post("/v1/images", content=b"photo", timeout=15)
        now[0] += 60
    assert servers.asked == [A, B], "it is never sent twice"
    assert servers.patience_s == {A: 15, B: 15}


def test_what_is_for_one_address_only_goes_to_no_other(
    client: httpx.Client, servers: Servers
) -> None:
    assert client.get("/", extensions={ONLY: B}).text.startswith(B)
    servers.failing[B] = httpx.ConnectError
    with pytest.raises(httpx.ConnectError):
        client.get("/", extensions={ONLY: B})
    assert servers.asked == [B, B]


def test_spread_takes_turns_and_shuns_for_a_while_what_failed(
    servers: Servers, now: list[float]
) -> None:
    transport = FailoverTransport((A, B), servers, round_robin=True, clock=lambda: now[0])
    with httpx.Client(base_url=A, transport=transport) as client:
        for _ in range(4):
            client.get("/")
        assert servers.asked == [A, B, A, B]
        servers.failing[A] = httpx.ConnectError
        for _ in range(4):
            assert client.get("/").text.startswith(B)
        assert servers.asked[4:].count(A) == 1
        servers.failing.clear()
        now[0] += 60
        servers.asked.clear()
        client.get("/")
        client.get("/")
    assert sorted(servers.asked) == [A, B]


def test_addresses_are_split_and_checked() -> None:
    assert split_addresses(f"{A}/, {B}") == (A, B)
    assert split_addresses("https://pets.example/search/") == ("https://pets.example/search",)
    for wrong in ("", " , ", "127.0.0.1:8000", f"{A},ftp://b", f"{A},{B}/below"):
        with pytest.raises(ConfigurationError, match="http://a:8000,http://b:8000"):
            split_addresses(wrong)


def test_one_that_cannot_serve_now_is_passed_over_where_a_request_may_be_repeated(
    client: httpx.Client, servers: Servers
) -> None:
    servers.status[A] = 503
    assert client.post("/v1/images", content=b"photo").status_code == 503
    assert client.get("/v1/search").text.startswith(B)
    assert client.get("/v1/search").status_code == 200
    assert servers.asked == [A, A, B, B]


def test_if_none_can_serve_the_last_ones_answer_is_given(
    client: httpx.Client, servers: Servers
) -> None:
    servers.status = {A: 503, B: 503}
    assert client.get("/v1/search").status_code == 503
    assert servers.asked == [A, B]


def test_one_that_had_no_time_to_answer_is_not_avoided(
    client: httpx.Client, servers: Servers
) -> None:
    servers.failing[A] = httpx.ReadTimeout

    def ask(seconds: float) -> None:
        deadline.set_current(deadline.Deadline(seconds))
        with pytest.raises(httpx.ReadTimeout):
            client.get("/v1/stats")

    contextvars.copy_context().run(ask, 0.5)
    contextvars.copy_context().run(ask, 5.0)  # the same one again; now it had the time
    assert servers.asked == [A, A]
    assert client.get("/v1/stats").text.startswith(B)
