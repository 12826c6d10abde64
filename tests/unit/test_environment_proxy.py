"""The clients use the proxy that the environment names, as curl does; a wrong one is named."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from huggingface_hub import constants

from petsearch.client import Client
from petsearch.client.async_api import AsyncClient
from petsearch.domain.errors import ConfigurationError, Unavailable
from petsearch.models.hub import is_hub_reachable
from tests.coroutines import run

_NAMES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")
_NOBODY = "http://127.0.0.1:9"


class Answers(BaseHTTPRequestHandler):
    """A proxy, or a server: answers with the address that it was asked for."""

    def do_GET(self) -> None:
        """As `GET /v1/stats`."""
        body = b'{"asked": "%s"}' % self.path.encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Nothing."""


@pytest.fixture
def address(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Of what answers; the environment names no proxy."""
    for name in _NAMES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    with ThreadingHTTPServer(("127.0.0.1", 0), Answers) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("name", ["HTTP_PROXY", "http_proxy", "ALL_PROXY"])
@pytest.mark.parametrize("scheme", ["http://", ""])
def test_calls_go_through_the_proxy(
    address: str, monkeypatch: pytest.MonkeyPatch, name: str, scheme: str
) -> None:
    monkeypatch.setenv(name, scheme + address.removeprefix("http://"))
    with Client("http://pets.example") as client:
        assert client.stats() == {"asked": "http://pets.example/v1/stats"}


def test_asynchronous_calls_do_as_well(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async def stats() -> object:
        async with AsyncClient("http://pets.example") as client:
            return await client.stats()

    monkeypatch.setenv("HTTP_PROXY", address)
    assert run(stats()) == {"asked": "http://pets.example/v1/stats"}


def test_this_machine_is_asked_directly(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALL_PROXY", _NOBODY)
    for here in (address, address.replace("127.0.0.1", "localhost")):
        with Client(here) as client:
            assert client.stats() == {"asked": "/v1/stats"}


def test_what_needs_no_proxy_is_asked_directly(
    address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", address)
    monkeypatch.setenv("NO_PROXY", "pets.invalid")
    with Client("http://pets.invalid") as client, pytest.raises(Unavailable):
        client.stats()


@pytest.mark.parametrize(
    "proxy", ["socks5://me:secret@10.0.0.1", "socks://10.0.0.1", "http://host:abc"]
)
def test_a_proxy_that_cannot_be_used_is_named(
    address: str, monkeypatch: pytest.MonkeyPatch, proxy: str
) -> None:
    monkeypatch.setenv("ALL_PROXY", proxy)
    with pytest.raises(ConfigurationError, match="ALL_PROXY") as raised:
        Client("http://pets.example")
    assert "secret" not in str(raised.value)
    with Client(address) as client:
        assert client.stats()


def test_so_is_one_on_the_way_to_the_hub(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setenv("ALL_PROXY", "socks5://10.0.0.1")
    with pytest.raises(ConfigurationError, match="NO_PROXY"):
        is_hub_reachable()
