"""Several embedder services behind one `HttpEmbedder`: which models are ours, who loads one."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict

import httpx
import pytest

from petsearch.adapters.embedder_http import HttpEmbedder
from petsearch.domain import ModelInfo, PixelSpec
from petsearch.domain.errors import Unavailable
from petsearch.failover import FailoverTransport

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
    """What each service has loaded; `down` are those that do not answer."""

    def __init__(self) -> None:
        self.loaded = {A: ["cats"], B: ["cats"]}
        self.down: set[str] = set()

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        address = f"http://{request.headers['Host']}"
        if address in self.down:
            raise httpx.ConnectError("no")
        if request.method == "POST":
            self.loaded[address].append("dogs")
            return httpx.Response(200, json=model("dogs"))
        if request.method == "DELETE":
            self.loaded[address].remove(request.url.path.rpartition("/")[2])
            return httpx.Response(204)
        return httpx.Response(200, json={"models": [model(m) for m in self.loaded[address]]})


@pytest.fixture
def services() -> Services:
    return Services()


@pytest.fixture
def embedder(services: Services) -> Iterator[HttpEmbedder]:
    transport = FailoverTransport((A, B), services, round_robin=True)
    opened = HttpEmbedder(httpx.Client(base_url=A, transport=transport), addresses=2)
    yield opened
    opened.close()


def ids(embedder: HttpEmbedder) -> list[str]:
    return [model.model_id for model in embedder.models()]


def test_a_model_is_loaded_and_unloaded_everywhere(
    embedder: HttpEmbedder, services: Services
) -> None:
    assert embedder.load("s3:dogs").model_id == "dogs"
    assert services.loaded == {A: ["cats", "dogs"], B: ["cats", "dogs"]}
    assert ids(embedder) == ["cats", "dogs"]
    embedder.unload("dogs")
    assert services.loaded == {A: ["cats"], B: ["cats"]}
    assert ids(embedder) == ["cats"]


def test_a_model_that_one_of_them_lacks_is_none_of_ours(
    embedder: HttpEmbedder, services: Services
) -> None:
    services.loaded[A] = ["cats", "dogs"]
    assert ids(embedder) == ["cats"]


def test_one_that_does_not_answer_is_not_asked_for_its_models(
    embedder: HttpEmbedder, services: Services
) -> None:
    services.down = {B}
    assert ids(embedder) == ["cats"]
    with pytest.raises(Unavailable):
        embedder.load("s3:dogs")


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
    embedder = HttpEmbedder(client, addresses=2, clock=lambda: now[0])
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
    embedder = HttpEmbedder(httpx.Client(base_url=A, transport=transport), addresses=2)
    assert ids(embedder) == ["cats"]
    embedder.close()
