"""What every request passes: id, Host and Origin guard, safe headers, a log line."""

import re
import secrets
import time
from collections.abc import Collection
from http import HTTPStatus
from urllib.parse import SplitResult, urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from petsearch.observability import get_logger, log_context
from services.http.problems import problem
from services.http.proxies import Networks, is_tls

log = get_logger(__name__)

_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
_QUIET_PATHS = ("/livez", "/readyz", "/metrics")
SECURITY_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Content-Security-Policy": (
        "default-src 'self'; img-src 'self' blob: data:; object-src 'none'; "
        "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
HSTS = "max-age=31536000"
"""A year, for this host alone: subdomains may not serve TLS."""


class RequestContext:
    """Gives each request an id (or takes the caller's), sets headers and logs one line.

    Args:
        trusted_proxies: whose word is taken for that a request came over TLS.
        embeddable: pages of other origins may embed pictures.
    """

    def __init__(
        self, app: ASGIApp, *, trusted_proxies: Networks = (), embeddable: bool = False
    ) -> None:
        self._app = app
        self._trusted = trusted_proxies
        self._headers = dict(SECURITY_HEADERS)
        if embeddable:
            self._headers["Cross-Origin-Resource-Policy"] = "cross-origin"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one connection."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        given = Headers(scope=scope).get("x-request-id", "")
        request_id = given if _REQUEST_ID.fullmatch(given) else secrets.token_hex(8)
        scope["request_id"] = request_id
        status = 0

        async def send_with_headers(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = int(message["status"])
                headers = MutableHeaders(scope=message)
                headers["X-Request-Id"] = request_id
                for name, value in self._headers.items():
                    headers.setdefault(name, value)
                if is_tls(scope, self._trusted):
                    headers["Strict-Transport-Security"] = HSTS
            await send(message)

        started = time.perf_counter()
        with log_context(request_id=request_id):
            try:
                await self._app(scope, receive, send_with_headers)
            except Exception as error:  # the request's edge: its caller is answered
                log.error("request failed", path=scope["path"], exc_info=error)
                if status:
                    raise  # too late for an answer; the server cuts the connection
                detail = "Something went wrong here; the log has the details under this request_id."
                response = problem(HTTPStatus.INTERNAL_SERVER_ERROR, detail, request_id)
                await response(scope, receive, send_with_headers)
            finally:
                if scope["path"] not in _QUIET_PATHS:
                    elapsed_ms = round((time.perf_counter() - started) * 1e3, 1)
                    log.info(
                        "request",
                        method=scope["method"],
                        path=scope["path"],
                        status=status,
                        ms=elapsed_ms,
                    )


class HostAndOriginGuard:
    """Refuses requests for hosts we do not serve, and writes that another site's page sends.

    A service on loopback without keys is otherwise open to every page the user visits: by a
    form post across sites, or by DNS rebinding. Starlette's own host check cuts `[::1]` at its
    first colon, so this one parses.

    Args:
        allowed_hosts: names without a port; `*` is any.
        allowed_origins: origins whose pages may write, besides the server's own.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        allowed_hosts: Collection[str],
        allowed_origins: Collection[str] = (),
    ) -> None:
        self._app = app
        self._origins = frozenset(allowed_origins)
        self._allowed = frozenset(host.lower() for host in allowed_hosts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one connection."""
        refusal = self._refusal(scope) if scope["type"] == "http" else None
        if refusal is None:
            await self._app(scope, receive, send)
            return
        status, detail = refusal
        response = problem(status, detail, scope.get("request_id", ""))
        await response(scope, receive, send)

    def _refusal(self, scope: Scope) -> tuple[HTTPStatus, str] | None:
        headers = Headers(scope=scope)
        host = headers.get("host", "")
        if "*" not in self._allowed and _hostname(f"//{host}") not in self._allowed:
            return (
                HTTPStatus.MISDIRECTED_REQUEST,
                f"This server does not serve the host {host!r}; add it to PETSEARCH_ALLOWED_HOSTS.",
            )
        origin = headers.get("origin")
        if scope["method"] in _SAFE_METHODS or origin is None or origin in self._origins:
            return None
        if _split(origin).netloc.lower() != host.lower():
            return HTTPStatus.FORBIDDEN, "Pages of other sites may not change anything here."
        return None


def _hostname(address: str) -> str:
    name = _split(address).hostname or ""
    return f"[{name}]" if ":" in name else name


def _split(address: str) -> SplitResult:
    try:
        return urlsplit(address)
    except ValueError:  # no valid address
        return urlsplit("")
