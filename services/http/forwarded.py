"""What trusted proxies say of a request: its client, scheme, host and prefix.

`ForwardedHeaders` puts it into the request's scope once, so that everything behind it sees the
request as the client sent it. The RFC 7239 header `Forwarded` is not read: a proxy that does not
know it passes on what a client made up.
"""

import re
from collections.abc import Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import Receive, Scope, Send

from services.http.asgi import HttpMiddleware

Networks = Sequence[IPv4Network | IPv6Network]

_IPV6_SITE_BITS = 64
"""One household or machine has a whole network of so many bits, so it is one client."""
_LONGEST_ADDRESS = 100
"""IPv6 with a zone. What is longer is no address, and is not kept."""
_WITH_PORT = re.compile(r"\[(?P<v6>[^\]]*)\](:\d+)?|(?P<v4>[^:]*):\d+")
_HOST = re.compile(r"([\w.-]+|\[[0-9A-Fa-f:.]+\])(:\d{1,5})?", re.ASCII)
_PREFIX = re.compile(r"(/[\w.~-]+)+", re.ASCII)
_DEFAULT_PORTS = {"http": "80", "https": "443"}
_PREFIX_OF_CLIENT = "petsearch.prefix"

_prefix: ContextVar[str] = ContextVar("prefix", default="")


def public_path(path: str) -> str:
    """The path by which the client of the current request reaches `path` of this server."""
    return _prefix.get() + path


@dataclass(eq=False)
class ForwardedHeaders(HttpMiddleware):
    """Rewrites the scope of requests that come from trusted proxies.

    - `X-Forwarded-For` is read from its right end, and only as long as what stands there was
      written by a trusted proxy: further left stands whatever the client made up. Addresses may
      have ports.
    - `X-Forwarded-Host` counts as the nearest proxy wrote it, at its right end. It still has to be
      one of the allowed hosts. `X-Forwarded-Port` completes it.
    - `X-Forwarded-Proto` counts as the farthest proxy wrote it, at its left end, since the next hop
      is often plain HTTP. A client that lies here misleads only itself.
    - `X-Forwarded-Prefix` is taken off the path, where the proxy has not done so, and put before
      the paths of links, `Location` and cookies.
    """

    trusted: Networks
    """The networks of the proxies."""

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope = self.as_sent(scope)
        _prefix.set(scope.get(_PREFIX_OF_CLIENT, ""))
        await self.app(scope, receive, send)

    def as_sent(self, scope: Scope) -> Scope:
        """The scope of a request as its client sent it."""
        peer = str(scope["client"][0]) if scope.get("client") else "unknown"
        if not self._is_trusted(peer):
            return scope
        given = Headers(scope=scope)
        scheme = _values(given, "x-forwarded-proto")[:1]
        scope = {**scope, "client": (self._client(given, peer), 0), "headers": [*scope["headers"]]}
        if scheme and scheme[0].lower() in _DEFAULT_PORTS:
            scope["scheme"] = scheme[0].lower()
        host = _forwarded_host(given, scope["scheme"])
        if host is not None:
            MutableHeaders(scope=scope)["host"] = host
        prefix = "".join(_values(given, "x-forwarded-prefix")[-1:]).rstrip("/")
        if _PREFIX.fullmatch(prefix):
            # Not as `root_path`, which the router would take off the path once more: another route
            # would run than the one that the caller may call.
            scope[_PREFIX_OF_CLIENT] = prefix
            if scope["path"].startswith(f"{prefix}/"):
                scope["path"] = scope["path"].removeprefix(prefix)
        return scope

    def _client(self, given: Headers, peer: str) -> str:
        hops = _values(given, "x-forwarded-for")
        address = peer
        while hops and self._is_trusted(address):
            address = _without_port(hops.pop())
        return address

    def _is_trusted(self, address: str) -> bool:
        parsed = _parse(address)
        return parsed is not None and any(parsed in network for network in self.trusted)


def client_of(scope: Scope) -> str:
    """The client's address, an IPv6 one as its /64 network; `unknown` where there is none."""
    parsed = _parse(str(scope["client"][0])) if scope.get("client") else None
    if parsed is None:
        return "unknown"
    if isinstance(parsed, IPv4Address):
        return str(parsed)
    return str(IPv6Network((int(parsed), _IPV6_SITE_BITS), strict=False))


def _values(headers: Headers, name: str) -> list[str]:
    """The comma-separated values of a header, which may come several times."""
    return [value.strip() for line in headers.getlist(name) for value in line.split(",")]


def _forwarded_host(headers: Headers, scheme: str) -> str | None:
    host = "".join(_values(headers, "x-forwarded-host")[-1:])
    if not _HOST.fullmatch(host):
        return None
    port = "".join(_values(headers, "x-forwarded-port")[-1:])
    has_port = host.rpartition("]")[2].count(":") > 0
    if has_port or not port.isdecimal() or port == _DEFAULT_PORTS.get(scheme):
        return host
    return f"{host}:{port}"


def _without_port(hop: str) -> str:
    found = _WITH_PORT.fullmatch(hop.strip('"'))
    return hop.strip('"') if found is None else found["v6"] or found["v4"] or ""


def _parse(address: str) -> IPv4Address | IPv6Address | None:
    """IPv4-mapped IPv6 addresses, as dual-stack sockets report them, are IPv4 here."""
    return _parsed(address) if len(address) <= _LONGEST_ADDRESS else None


@lru_cache(maxsize=1024)
def _parsed(address: str) -> IPv4Address | IPv6Address | None:
    try:
        parsed = ip_address(address)
    except ValueError:
        return None
    mapped = parsed.ipv4_mapped if isinstance(parsed, IPv6Address) else None
    return parsed if mapped is None else mapped
