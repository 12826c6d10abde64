"""What trusted proxies say of a request, and that nobody else is believed."""

from ipaddress import ip_network
from typing import Any

import pytest
from starlette.types import Receive, Scope, Send

from services.http.forwarded import ForwardedHeaders, client_of, public_path
from tests.coroutines import run

PROXIES = (ip_network("10.0.0.0/8"), ip_network("fd00::/8"))


def seen(
    peer: str | None = "10.0.0.1", scheme: str = "http", path: str = "/v1/stats", **headers: str
) -> dict[str, Any]:
    """What an application sees of a request: client, scheme, host, path and a public path."""
    raw = [(k.replace("_", "-").encode(), v.encode()) for k, v in headers.items()]
    client = None if peer is None else (peer, 1234)
    scope = {"type": "http", "scheme": scheme, "path": path, "client": client, "headers": raw}
    found: dict[str, Any] = {}

    async def app(scope: Scope, _receive: Receive, _send: Send) -> None:
        hosts = [value.decode() for name, value in scope["headers"] if name == b"host"]
        found.update(client=client_of(scope), scheme=scope["scheme"], hosts=hosts)
        found.update(path=scope["path"], link=public_path("/v1/jobs"))

    async def nothing(*_: Any) -> Any:
        raise AssertionError("the application reads and sends nothing")

    run(ForwardedHeaders(app, trusted=PROXIES)(scope, nothing, nothing))
    return found


@pytest.mark.parametrize(
    ("peer", "forwarded", "client"),
    [
        ("192.0.2.1", "", "192.0.2.1"),
        ("192.0.2.1", "198.51.100.9", "192.0.2.1"),
        ("10.0.0.1", "198.51.100.9", "198.51.100.9"),
        ("10.0.0.1", "1.1.1.1, 198.51.100.9", "198.51.100.9"),
        ("10.0.0.1", "198.51.100.9, 10.0.0.2", "198.51.100.9"),
        ("10.0.0.1", "", "10.0.0.1"),
        ("10.0.0.1", "made up", "unknown"),
        ("10.0.0.1", "198.51.100.9:4711", "198.51.100.9"),
        ("10.0.0.1", "198.51.100.9:4711, 10.0.0.2:80", "198.51.100.9"),
        ("10.0.0.1", "[2001:db8:1:2::6]:4711", "2001:db8:1:2::/64"),
        ("10.0.0.1", "[2001:db8:1:2::6]", "2001:db8:1:2::/64"),
        ("10.0.0.1", '"[2001:db8:1:2::6]:4711"', "2001:db8:1:2::/64"),
        ("fd00::1", "2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("::ffff:192.0.2.1", "", "192.0.2.1"),
        ("::ffff:10.0.0.1", "198.51.100.9", "198.51.100.9"),
    ],
)
def test_only_what_a_trusted_proxy_wrote_is_believed(
    peer: str, forwarded: str, client: str
) -> None:
    headers = {"x_forwarded_for": forwarded} if forwarded else {}
    assert seen(peer, **headers)["client"] == client


def test_a_connection_without_an_address_is_unknown() -> None:
    assert seen(None)["client"] == "unknown"


@pytest.mark.parametrize(
    ("peer", "said", "scheme"),
    [
        ("10.0.0.1", "https", "https"),
        ("10.0.0.1", "HTTPS", "https"),
        ("10.0.0.1", "https, http", "https"),
        ("10.0.0.1", "http", "http"),
        ("10.0.0.1", "gopher", "http"),
        ("192.0.2.1", "https", "http"),
    ],
)
def test_the_scheme_is_the_farthest_proxys_word(peer: str, said: str, scheme: str) -> None:
    assert seen(peer, x_forwarded_proto=said)["scheme"] == scheme
    assert seen("192.0.2.1", "https", x_forwarded_proto=said)["scheme"] == "https"


@pytest.mark.parametrize(
    ("headers", "host"),
    [
        ({"x_forwarded_host": "pets.example"}, "pets.example"),
        ({"x_forwarded_host": "forged.example, pets.example"}, "pets.example"),
        ({"x_forwarded_host": "pets.example:8443"}, "pets.example:8443"),
        ({"x_forwarded_host": "pets.example", "x_forwarded_port": "8443"}, "pets.example:8443"),
        ({"x_forwarded_host": "pets.example", "x_forwarded_port": "80"}, "pets.example"),
        ({"x_forwarded_host": "[2001:db8::1]:8443"}, "[2001:db8::1]:8443"),
        ({"x_forwarded_host": "no host/"}, "inner:8000"),
        ({}, "inner:8000"),
    ],
)
def test_the_host_is_the_nearest_proxys_word(headers: dict[str, str], host: str) -> None:
    assert seen(host="inner:8000", **headers)["hosts"] == [host]
    assert seen("192.0.2.1", host="inner:8000", **headers)["hosts"] == ["inner:8000"]


@pytest.mark.parametrize("path", ["/v1/stats", "/pets/v1/stats"])
@pytest.mark.parametrize("prefix", ["/pets", "/pets/"])
def test_a_prefix_leads_links_and_leaves_the_path(prefix: str, path: str) -> None:
    found = seen(path=path, x_forwarded_prefix=prefix)
    assert (found["path"], found["link"]) == ("/v1/stats", "/pets/v1/jobs")
    forged = seen("192.0.2.1", path=path, x_forwarded_prefix=prefix)
    assert (forged["path"], forged["link"]) == (path, "/v1/jobs")


@pytest.mark.parametrize("prefix", ["//evil.example", "pets", "/", "/a b", "/<b>", ""])
def test_a_prefix_that_is_no_path_is_ignored(prefix: str) -> None:
    assert seen(x_forwarded_prefix=prefix)["link"] == "/v1/jobs"
