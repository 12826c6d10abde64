"""Whose address counts, and when a connection counts as TLS."""

from ipaddress import ip_network
from typing import Any

import pytest

from services.http.proxies import client_of, is_tls

PROXIES = (ip_network("10.0.0.0/8"), ip_network("fd00::/8"))


def scope(peer: str | None, scheme: str = "http", **headers: str) -> dict[str, Any]:
    raw = [(k.replace("_", "-").encode(), v.encode()) for k, v in headers.items()]
    client = None if peer is None else (peer, 1234)
    return {"type": "http", "scheme": scheme, "client": client, "headers": raw}


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
        ("fd00::1", "2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("::ffff:192.0.2.1", "", "192.0.2.1"),
        ("::ffff:10.0.0.1", "198.51.100.9", "198.51.100.9"),
    ],
)
def test_only_what_a_trusted_proxy_wrote_is_believed(
    peer: str, forwarded: str, client: str
) -> None:
    headers = {"x_forwarded_for": forwarded} if forwarded else {}
    assert client_of(scope(peer, **headers), PROXIES) == client


def test_a_connection_without_an_address_is_unknown() -> None:
    assert client_of(scope(None), PROXIES) == "unknown"


def test_tls_is_the_connections_own_or_a_trusted_proxys_word() -> None:
    assert is_tls(scope("192.0.2.1", scheme="https"), ())
    assert is_tls(scope("10.0.0.1", x_forwarded_proto="https"), PROXIES)
    assert not is_tls(scope("192.0.2.1", x_forwarded_proto="https"), PROXIES)
    assert not is_tls(scope("10.0.0.1", x_forwarded_proto="http"), PROXIES)
