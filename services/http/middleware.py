"""What every request passes: id, Host and Origin guards, safe headers, a log line."""

import random
import re
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from urllib.parse import SplitResult, urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect
from starlette.types import Message, Receive, Scope, Send

from petsearch.observability import get_logger, log_context
from services.http.asgi import HttpMiddleware
from services.http.problems import problem, unexpected_problem

log = get_logger(__name__)

_LOGGED_CHARACTERS = 500
"""Of a path: refused ones can be long."""
_LONGEST_HOST = 300
"""With scheme and port. Longer ones are not parsed: the library keeps what it parsed."""
CLIENT_LEFT = 499
"""In the log, as nginx has it."""
_HOST = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[^][@:/?#\\\s]+)(:[0-9]*)?")
_REQUEST_ID = re.compile(rb"[A-Za-z0-9._-]{1,64}")
_DEFAULT_PORTS = {"http": 80, "https": 443}
PROBES = ("/livez", "/readyz")
_QUIET_PATHS = (*PROBES, "/metrics")
_POLICY = "Content-Security-Policy"
_NO_FRAMES = "frame-ancestors 'none'"
_SECURITY_HEADERS = {
    # Without a word of it, Varnish keeps an answer for two minutes, and a CDN for an hour.
    "Cache-Control": "no-cache",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    _POLICY: (
        "default-src 'self'; img-src 'self' blob: data:; object-src 'none'; "
        f"base-uri 'none'; form-action 'self'; {_NO_FRAMES}"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
HSTS = "max-age=31536000"
"""A year, for this host alone: subdomains may not serve TLS."""


def security_headers(*, embeddable: bool = False, frame_ancestors: str = "") -> dict[str, str]:
    """The headers of every response that has none of its own.

    Args:
        embeddable: pages of other origins may embed pictures.
        frame_ancestors: origins whose pages may show ours in a frame, between spaces.
    """
    headers = dict(_SECURITY_HEADERS)
    if embeddable:
        headers["Cross-Origin-Resource-Policy"] = "cross-origin"
    if frame_ancestors:
        named = f"frame-ancestors {frame_ancestors}"
        headers[_POLICY] = headers[_POLICY].replace(_NO_FRAMES, named)
    return headers


def request_id(scope: Scope) -> str:
    """The id that the caller gave a request, or a new one.

    A new one is no secret. Random bytes of the kernel would release the GIL, for which the event
    loop then waits while other threads compute.
    """
    for name, value in scope["headers"]:
        if name == b"x-request-id" and _REQUEST_ID.fullmatch(value):
            return str(value, "ascii")
    return f"{random.getrandbits(64):016x}"


@dataclass(eq=False)
class RequestContext(HttpMiddleware):
    """Gives each request an id (or takes the caller's), sets headers and logs one line."""

    headers: Mapping[str, str] = field(default_factory=security_headers)

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope["request_id"] = given = request_id(scope)
        status = 0

        async def send_with_headers(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = int(message["status"])
                headers = MutableHeaders(scope=message)
                headers["X-Request-Id"] = given
                for name, value in self.headers.items():
                    headers.setdefault(name, value)
                if scope["scheme"] == "https":
                    headers["Strict-Transport-Security"] = HSTS
            await send(message)

        started = time.perf_counter()
        with log_context(request_id=given):
            try:
                await self.app(scope, receive, send_with_headers)
            except ClientDisconnect:
                status = status or CLIENT_LEFT  # nobody is there to be answered
            except Exception as error:  # the request's edge: its caller is answered
                log.error("request failed", path=scope["path"][:_LOGGED_CHARACTERS], exc_info=error)
                if status:
                    raise  # too late for an answer; the server cuts the connection
                response = unexpected_problem(error, given)
                await response(scope, receive, send_with_headers)
            finally:
                if scope["path"] not in _QUIET_PATHS:
                    log.info(
                        "request",
                        method=scope["method"],
                        path=scope["path"][:_LOGGED_CHARACTERS],
                        status=status,
                        ms=round((time.perf_counter() - started) * 1e3, 1),
                    )


@dataclass(eq=False)
class HostGuard(HttpMiddleware):
    """Refuses requests for hosts we do not serve.

    A service on loopback without keys is otherwise open to every page the user visits, by DNS
    rebinding. Probes of orchestrators ask by address: they pass, marked in the scope by
    `is_foreign_host`. Starlette's own host check cuts `[::1]` at its first colon, so this one
    parses.
    """

    allowed_hosts: Collection[str]
    """Names without a port; `*` is any."""

    def __post_init__(self) -> None:
        self.allowed_hosts = frozenset(host.lower() for host in self.allowed_hosts)

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        if not self._is_served(scope):
            scope["is_foreign_host"] = True
            if scope["path"] not in PROBES:
                host = Headers(scope=scope).get("host", "")
                detail = (
                    f"This server does not serve the host {host[:255]!r}; "
                    "add it to PETSEARCH_ALLOWED_HOSTS."
                )
                status = HTTPStatus.MISDIRECTED_REQUEST
                await problem(status, detail, scope.get("request_id", ""))(scope, receive, send)
                return
        await self.app(scope, receive, send)

    def _is_served(self, scope: Scope) -> bool:
        if "*" in self.allowed_hosts:
            return True
        hosts = Headers(scope=scope).getlist("host")
        if not hosts:
            return bool(scope["http_version"] == "1.0")  # which knows no Host; HTTP/1.1 demands it
        is_one = len(hosts) == 1 and _HOST.fullmatch(hosts[0]) is not None
        return is_one and _hostname(f"//{hosts[0]}") in self.allowed_hosts


@dataclass(eq=False)
class OriginGuard(HttpMiddleware):
    """Refuses changes that another site's page asks for, such as by a form post across sites."""

    allowed_origins: Collection[str]
    """Those whose pages may write, besides the server's own."""
    is_read: Callable[[str, str], bool]
    """Whether a request, by method and path, changes nothing."""

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._may_pass(scope):
            await self.app(scope, receive, send)
            return
        detail = "Pages of other sites may not change anything here."
        refusal = problem(HTTPStatus.FORBIDDEN, detail, scope.get("request_id", ""))
        await refusal(scope, receive, send)

    def _may_pass(self, scope: Scope) -> bool:
        headers = Headers(scope=scope)
        origin = headers.get("origin")
        if origin is None or origin in self.allowed_origins:
            return True
        if _is_own(origin, headers.get("host", "")):
            return True
        return self.is_read(scope["method"], scope["path"])


def _is_own(origin: str, host: str) -> bool:
    """Whether an origin is that of the host; which scheme it has is left to proxies."""
    page = _split(origin)
    default = f":{_DEFAULT_PORTS.get(page.scheme, '')}"
    return bool(host) and page.netloc.lower().removesuffix(default) == host.lower().removesuffix(
        default
    )


def _hostname(address: str) -> str:
    name = _split(address).hostname or ""
    return f"[{name}]" if ":" in name else name


def _split(address: str) -> SplitResult:
    if len(address) > _LONGEST_HOST:
        return urlsplit("")
    try:
        return urlsplit(address)
    except ValueError:  # no valid address
        return urlsplit("")
