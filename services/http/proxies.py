"""Who is at the other end of a connection, and whether over TLS, as far as proxies are believed."""

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

from starlette.datastructures import Headers
from starlette.types import Scope

Networks = Sequence[IPv4Network | IPv6Network]

_IPV6_SITE_BITS = 64
"""One household or machine has a whole network of so many bits, so it is one client."""


def client_of(scope: Scope, trusted: Networks) -> str:
    """The client's address, an IPv6 one as its /64 network; `unknown` where there is none.

    X-Forwarded-For is read from its right end, and only as long as what is there was written by a
    proxy of `trusted` networks: further left stands whatever the client made up.
    """
    address = str(scope["client"][0]) if scope.get("client") else "unknown"
    forwarded = Headers(scope=scope).getlist("x-forwarded-for")
    hops = [hop.strip() for line in forwarded for hop in line.split(",")]
    while hops and _is_trusted(address, trusted):
        address = hops.pop()
    return _as_site(address)


def is_tls(scope: Scope, trusted: Networks) -> bool:
    """Whether the client came over TLS, by the connection or by a trusted proxy's word."""
    if scope["scheme"] == "https":
        return True
    peer = str(scope["client"][0]) if scope.get("client") else "unknown"
    if not _is_trusted(peer, trusted):
        return False
    return Headers(scope=scope).get("x-forwarded-proto", "").strip().lower() == "https"


def _is_trusted(address: str, trusted: Networks) -> bool:
    parsed = _parse(address)
    return parsed is not None and any(parsed in network for network in trusted)


def _as_site(address: str) -> str:
    parsed = _parse(address)
    if parsed is None:
        return "unknown"
    if isinstance(parsed, IPv4Address):
        return str(parsed)
    return str(IPv6Network((int(parsed), _IPV6_SITE_BITS), strict=False))


def _parse(address: str) -> IPv4Address | IPv6Address | None:
    """IPv4-mapped IPv6 addresses, as dual-stack sockets report them, are IPv4 here."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return None
    mapped = parsed.ipv4_mapped if isinstance(parsed, IPv6Address) else None
    return parsed if mapped is None else mapped
