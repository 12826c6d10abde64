"""Several embedder services behind one `HttpEmbedder`: which has a model, and who is asked."""

import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict

import httpx
import numpy as np
import pytest

from petsearch.adapters.embedder_http import (
    NOT_HERE,
    HttpEmbedder,
    OnlyEmbedders,
    is_idempotent,
)
from petsearch.adapters.service_names import ServiceNames
from petsearch.domain import ModelInfo, PixelSpec
from petsearch.domain.errors import Conflict, Unavailable
from petsearch.failover import FailoverTransport
from tests.waiting import wait_until

A, B = "http://a:8100", "http://b:8100"


def model(model_id: str) -> dict[str, object]:
    info = ModelInfo(
        model_id=model_id,
        dim=4,
        pixel_spec=PixelSpec(8, 8),
        labels=(),
        prompt_templates=("{}",),
        label_templates=("{}",),
        precision="fp32",
        device="cpu",
        spec="sample",
        logit_scale=10.0,
    )
    return asdict(info)


class Services(httpx.BaseTransport):
    """What each service has loaded; `down` are those that do not answer, `others` are none."""

    def __init__(self) -> None:
        self.loaded = {A: ["cats"], B: ["cats"]}
        self.down: set[str] = set()
        self.others: dict[str, httpx.Response] = {}
        self.unready: set[str] = set()
        self.failed: dict[str, dict[str, str]] = {A: {}, B: {}}

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        address = f"http://{request.headers['Host']}"
        if address in self.down:
            raise httpx.ConnectError("no")
        if address in self.others:
            return self.others[address]
        if request.method == "POST":
            name = json.loads(request.read())["model_id"]
            if name not in self.loaded[address]:
                return httpx.Response(409, json={"detail": "not loaded"})
            row = np.zeros((1, 4), "<f4")
            return httpx.Response(200, content=row.tobytes(), headers={"X-Shape": "1,4"})
        body = {
            "models": [model(m) | {"device": address} for m in self.loaded[address]],
            "is_ready": address not in self.unready,
            "failed": self.failed[address],
        }
        return httpx.Response(200, json=body)


@pytest.fixture
def services() -> Services:
    return Services()


@pytest.fixture
def embedder(services: Services) -> Iterator[HttpEmbedder]:
    """As `connect` makes it."""
    transport = FailoverTransport(
        (A, B),
        OnlyEmbedders(services),
        round_robin=True,
        may_repeat=is_idempotent,
        retry_statuses=NOT_HERE,
    )
    opened = HttpEmbedder(httpx.Client(base_url=A, transport=transport), addresses=lambda: (A, B))
    yield opened
    opened.close()


def ids(embedder: HttpEmbedder) -> list[str]:
    return [model.model_id for model in embedder.models()]


def test_a_model_that_one_of_them_has_is_there_and_asked_for_where_it_is(
    embedder: HttpEmbedder, services: Services
) -> None:
    services.loaded[B] = ["cats", "dogs"]
    assert ids(embedder) == ["cats", "dogs"]
    assert embedder.load("s3:dogs").model_id == "dogs"
    for _ in range(4):
        assert embedder.embed_texts(["a dog"], model_id="dogs").shape == (1, 4)
    with pytest.raises(Conflict):
        embedder.embed_texts(["a bird"], model_id="birds")


def test_a_model_is_everywhere_when_all_that_are_ready_have_it(
    embedder: HttpEmbedder, services: Services
) -> None:
    services.loaded[A] = ["cats", "dogs"]
    assert embedder.is_everywhere("cats")
    assert not embedder.is_everywhere("dogs")
    services.unready = {B}
    assert embedder.is_everywhere("dogs")
    services.unready, services.down = set(), {B}
    assert embedder.is_everywhere("dogs")


def test_a_model_is_waited_for_until_all_say_that_they_cannot_load_it(
    embedder: HttpEmbedder, services: Services
) -> None:
    with pytest.raises(Unavailable):
        embedder.load("s3:dogs")
    services.failed[A] = {"s3:dogs": "its weights are damaged"}
    with pytest.raises(Unavailable):
        embedder.load("s3:dogs")
    services.failed[B] = services.failed[A]
    with pytest.raises(Conflict, match="damaged"):
        embedder.load("s3:dogs")


def test_a_model_is_described_as_one_that_is_ready_has_it(
    embedder: HttpEmbedder, services: Services
) -> None:
    services.unready = {B}
    assert [model.device for model in embedder.models()] == [A]


def test_one_that_does_not_answer_is_not_asked_for_its_models(
    embedder: HttpEmbedder, services: Services
) -> None:
    services.down = {B}
    assert ids(embedder) == ["cats"]


NONE = {
    "nothing at this address": httpx.Response(404, json={"detail": "Not Found"}),
    "a page": httpx.Response(200, html="<h1>Welcome</h1>"),
    "other JSON": httpx.Response(200, json={"models": [{"name": "llama"}]}),
    "no object": httpx.Response(200, json=[]),
}


@pytest.mark.parametrize("other", NONE)
def test_what_answers_and_is_no_embedder_counts_as_one_that_is_down(
    services: Services, embedder: HttpEmbedder, other: str
) -> None:
    services.others[B] = NONE[other]
    assert ids(embedder) == ["cats"]
    services.others[A] = NONE[other]
    embedder.unload("cats")
    with pytest.raises(Unavailable, match="PETSEARCH_EMBEDDER_URL"):
        embedder.models()


GOOD = {"X-Shape": "1,4", "X-Model-Id": "cats"}


@pytest.mark.parametrize(
    ("row", "headers"),
    [
        ([0.0, np.nan, 0.0, 0.0], GOOD),
        ([0.0, np.inf, 0.0, 0.0], GOOD),
        ([1.0, 0.0, 0.0, 0.0], GOOD | {"X-Model-Id": "dogs"}),
        ([1.0, 0.0, 0.0, 0.0], GOOD | {"X-Shape": "2,2"}),
        ([1.0, 0.0, 0.0, 0.0], GOOD | {"X-Shape": "1,5"}),
        ([1.0, 0.0, 0.0, 0.0], GOOD | {"X-Shape": "4"}),
        ([1.0, 0.0, 0.0, 0.0], {"X-Model-Id": "cats"}),
    ],
)
def test_embeddings_that_were_not_asked_for_are_not_taken(
    services: Services, embedder: HttpEmbedder, row: list[float], headers: dict[str, str]
) -> None:
    content = np.array([row], "<f4").tobytes()
    services.others[A] = services.others[B] = httpx.Response(200, content=content, headers=headers)
    with pytest.raises(Unavailable):
        embedder.embed_texts(["a cat"], model_id="cats")
    good = httpx.Response(200, content=np.ones((1, 4), "<f4").tobytes(), headers=GOOD)
    services.others[A] = services.others[B] = good
    assert embedder.embed_texts(["a cat"], model_id="cats").shape == (1, 4)


@pytest.mark.parametrize("other", ["nothing at this address", "a page"])
def test_one_that_is_no_embedder_is_passed_over(
    services: Services, embedder: HttpEmbedder, other: str
) -> None:
    services.others[B] = NONE[other]
    for _ in range(6):
        assert embedder.embed_texts(["a cat"], model_id="cats").shape == (1, 4)


@pytest.mark.parametrize(
    "answer", [httpx.Response(200, html="<h1>"), httpx.Response(200, json={"counts": [1, 2]})]
)
def test_counts_that_were_not_asked_for_are_not_taken(
    services: Services, embedder: HttpEmbedder, answer: httpx.Response
) -> None:
    services.others[A] = services.others[B] = answer
    with pytest.raises(Unavailable):
        embedder.count_tokens(["a cat"])


def test_without_any_answer_the_embedder_is_unavailable(
    embedder: HttpEmbedder, services: Services
) -> None:
    services.down = {A, B}
    with pytest.raises(Unavailable):
        embedder.models()


class Hung(httpx.BaseTransport):
    """A service that takes a call and answers nothing until it is let go; then the call fails."""

    def __init__(self) -> None:
        self.asked = 0
        self.let_go = threading.Event()

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        self.asked += 1
        self.let_go.wait()
        raise httpx.ReadTimeout("no answer", request=request)


def test_who_waits_beside_a_call_that_fails_does_not_wait_for_one_of_his_own() -> None:
    service, came = Hung(), threading.Semaphore(0)

    def clock() -> float:
        came.release()
        return 0.0

    embedder = HttpEmbedder(httpx.Client(base_url=A, transport=service), clock=clock)
    with ThreadPoolExecutor(8) as threads:
        calls = [threads.submit(embedder.models) for _ in range(8)]
        for _ in calls:
            came.acquire()
        service.let_go.set()
        assert all(isinstance(call.exception(), Unavailable) for call in calls)
    assert service.asked == 1
    embedder.close()


class OneHangs(Services):
    """B takes every call and answers none until it is let go; the calls fail then."""

    def __init__(self) -> None:
        super().__init__()
        self.is_asked, self.let_go = threading.Event(), threading.Event()
        self.hangs = False

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        if self.hangs and f"http://{request.headers['Host']}" == B:
            self.is_asked.set()
            self.let_go.wait()
            raise httpx.ReadTimeout("no answer", request=request)
        return super().handle_request(request)


def test_while_one_that_hangs_is_asked_the_models_are_known() -> None:
    services, now = OneHangs(), [100.0]
    transport = FailoverTransport((A, B), services, round_robin=True)
    client = httpx.Client(base_url=A, transport=transport)
    embedder = HttpEmbedder(client, addresses=lambda: (A, B), clock=lambda: now[0])
    assert ids(embedder) == ["cats"]
    services.hangs, now[0] = True, 200.0
    with ThreadPoolExecutor(1) as threads:
        reads_again = threads.submit(ids, embedder)
        assert services.is_asked.wait(30)
        assert ids(embedder) == ["cats"]
        services.let_go.set()
        assert reads_again.result() == ["cats"]
    embedder.close()


def test_all_are_asked_for_their_models_at_the_same_time() -> None:
    both_asked = threading.Barrier(2)

    class Waits(Services):
        def handle_request(self, request: httpx.Request) -> httpx.Response:
            both_asked.wait(30)
            return super().handle_request(request)

    transport = FailoverTransport((A, B), Waits(), round_robin=True)
    embedder = HttpEmbedder(httpx.Client(base_url=A, transport=transport), addresses=lambda: (A, B))
    assert ids(embedder) == ["cats"]
    embedder.close()


def test_services_behind_one_name_are_found_as_they_come_and_go() -> None:
    now, hosts = [0.0], [["10.0.0.1", "10.0.0.2"]]

    def lookup(name: str) -> list[str]:
        if not hosts[0]:
            raise OSError(name)
        return hosts[0]

    names = ServiceNames(
        ("http://embedder:8100", "https://far.example"), lookup=lookup, clock=lambda: now[0]
    )
    first = ("http://10.0.0.1:8100", "http://10.0.0.2:8100", "https://far.example")
    assert names() == first
    hosts[0] = ["10.0.0.2", "::3"]
    assert names() == first
    now[0] = 5.0  # old enough to be read again, for which nobody waits
    wait_until(lambda: names()[:2] == ("http://10.0.0.2:8100", "http://[::3]:8100"))
    hosts[0], now[0] = [], 10.0
    for _ in range(3):
        assert names()[0] == "http://10.0.0.2:8100"


def test_names_are_read_again_after_a_time_without_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    now, hosts = [0.0], [["10.0.0.1"]]
    names = ServiceNames(("http://embedder:8100",), lookup=lambda _: hosts[0], clock=lambda: now[0])
    assert names() == ("http://10.0.0.1:8100",)
    hosts[0], now[0] = ["10.0.0.2"], 5.0

    def fail(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as limited:
        limited.setattr(threading.Thread, "start", fail)
        assert names() == ("http://10.0.0.1:8100",)
    wait_until(lambda: names() == ("http://10.0.0.2:8100",))


def test_a_name_that_nobody_knows_stays_as_it_is() -> None:
    def lookup(name: str) -> list[str]:
        raise OSError(name)

    assert ServiceNames(("http://embedder:8100",), lookup=lookup)() == ("http://embedder:8100",)
