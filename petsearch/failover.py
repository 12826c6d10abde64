"""An HTTP transport over several addresses of one service, with failover.

Addresses are written `http://a:8000,http://b:8000`. A request goes to one of them; if that cannot
be connected to, it goes to the next one, once each. A request that may be repeated also goes on
when the connection is closed before a response, as by a server that has just stopped, and when the
status says that this server cannot serve it now. A response that does not come in time is not asked
for again elsewhere, but the address is avoided too. After some seconds one request tries it.
"""

import math
import threading
import time
from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import lru_cache
from typing import Any
from urllib.parse import SplitResult, urlsplit

import httpx

from petsearch.domain import deadline
from petsearch.domain.addresses import without_password
from petsearch.domain.errors import ConfigurationError

_DOWN_S = 5.0
"""How long an address that did not answer is tried last."""
_FAIR_S = 1.0
"""Who had less time to answer, because a deadline was near, is not taken for down."""
_TRIAL_S = 2.0
"""How long a request that may be repeated waits for an address that did not answer before."""
ONLY = "petsearch.only_address"
"""A request's extension: the one address it is for."""
_NOT_SENT = (httpx.ConnectError, httpx.ConnectTimeout)
_CUT_OFF = (httpx.RemoteProtocolError, httpx.ReadError, httpx.WriteError)
_TOO_SLOW = (httpx.ReadTimeout, httpx.WriteTimeout)


def split_addresses(addresses: str) -> tuple[str, ...]:
    """The addresses in a list with commas, at least one, without slashes at their ends.

    Raises:
        ConfigurationError: one is no http address, or one of several has more than host and port.
    """
    found = tuple(part.strip().rstrip("/") for part in addresses.split(",") if part.strip())
    for address in found or (addresses,):
        parts = _split(address)
        is_bare = address == f"{parts.scheme}://{parts.netloc}"
        is_whole = parts.scheme in ("http", "https") and not (parts.query or parts.fragment)
        if not (is_whole and _has_host(address) and (is_bare or len(found) == 1)):
            raise ConfigurationError(
                f"{without_password(address)!r} is not the address of a service. "
                "Write http://host:8000, or several as http://a:8000,http://b:8000."
            )
    return found


@contextmanager
def proxy_errors(host: str) -> Iterator[None]:
    """Raise `ConfigurationError` where httpx cannot use the proxy that is named for a host."""
    try:
        yield
    except (ImportError, ValueError, httpx.InvalidURL) as error:
        raise ConfigurationError(
            f"The proxy for {host} cannot be used: {str(error).rstrip('.')}. It is named by "
            f"HTTP_PROXY, HTTPS_PROXY or ALL_PROXY; name {host} in NO_PROXY to do without."
        ) from error


def _split(address: str) -> SplitResult:
    try:
        return urlsplit(address)
    except ValueError:  # a bracket that is not closed
        return urlsplit("")


def _has_host(address: str) -> bool:
    """Whether its host and port can be connected to."""
    try:
        url = httpx.URL(address)
        host, port = url.raw_host, urlsplit(address).port
    except (httpx.InvalidURL, ValueError):
        return False
    return all(0 < len(label) < 64 for label in host.rstrip(b".").split(b".")) and port != 0


def is_idempotent(request: httpx.Request) -> bool:
    """Whether sending it twice is the same as once: reads, and the searches that are posted."""
    return request.method in ("GET", "HEAD") or request.url.path.startswith("/v1/search")


def retry_after_s(headers: httpx.Headers) -> float:
    """The seconds in a Retry-After header; 5 where it is absent, or a date."""
    value = headers.get("Retry-After", "")
    return float(value) if value.isascii() and value.isdigit() else 5.0


class FailoverTransport(httpx.BaseTransport):
    """Sends requests to one of several addresses.

    Args:
        addresses: of `split_addresses`, or what is called for each request and returns as much.
            Requests are made for the first of them.
        inner: what sends; closed with this.
        round_robin: alternate between the addresses, instead of staying with one until it fails.
        may_repeat: whether a request may be sent again after its connection was cut.
        retry_statuses: statuses after which a repeatable request goes on to the next address.
        clock: seconds, monotonic.
    """

    def __init__(
        self,
        addresses: Sequence[str] | Callable[[], Sequence[str]],
        inner: httpx.BaseTransport,
        *,
        round_robin: bool = False,
        may_repeat: Callable[[httpx.Request], bool] = is_idempotent,
        retry_statuses: Container[int] = (httpx.codes.SERVICE_UNAVAILABLE,),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._addresses = addresses if callable(addresses) else lambda: addresses
        self._inner = inner
        self._round_robin = round_robin
        self._may_repeat = may_repeat
        self._retry_statuses = retry_statuses
        self._clock = clock
        self._changing = threading.Lock()
        self._preferred = 0
        self._down_until: dict[str, float] = {}

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """The answer of the first address that answers; the last one's error if none does."""
        if (only := request.extensions.get(ONLY)) is not None:
            return self._send(request, str(only))
        may_repeat = self._may_repeat(request)
        (*others, last), on_trial = self._choose()
        for address in others:
            most_s = _TRIAL_S if may_repeat and address == on_trial else None
            passed_over = _NOT_SENT + _CUT_OFF * may_repeat + _TOO_SLOW * (most_s is not None)
            try:
                answer = self._send(request, address, most_s=most_s)
            except passed_over:
                continue
            if answer.status_code not in self._retry_statuses or not may_repeat:
                self._mark_up(address)
                return answer
            answer.close()
            if answer.status_code == httpx.codes.SERVICE_UNAVAILABLE:
                self._mark_down(address)
        return self._send(request, last)

    def close(self) -> None:
        """Close the connections."""
        self._inner.close()

    def _choose(self) -> tuple[list[str], str | None]:
        """Which address is asked first, second …, and which of them is tried after a failure."""
        addresses = self._addresses()
        with self._changing:
            first, now = self._preferred % len(addresses), self._clock()
            if self._round_robin:
                self._preferred = first + 1
            turn = [*addresses[first:], *addresses[:first]]
            order = sorted(turn, key=lambda address: self._down_until.get(address, 0.0) > now)
            if not 0 < self._down_until.get(order[0], 0.0) <= now:
                return order, None
            self._down_until[order[0]] = now + _DOWN_S  # meanwhile the others avoid it
            return order, order[0]

    def _mark_down(self, address: str) -> None:
        addresses = self._addresses()
        with self._changing:
            self._down_until[address] = self._clock() + _DOWN_S
            if addresses[self._preferred % len(addresses)] == address:
                self._preferred += 1

    def _mark_up(self, address: str) -> None:
        with self._changing:
            self._down_until.pop(address, None)

    def _send(
        self, request: httpx.Request, address: str, *, most_s: float | None = None
    ) -> httpx.Response:
        """Send to one address, within `most_s` seconds if given, and mark it if that fails."""
        had_s = deadline.left_s()
        chosen = _url(address)
        url = request.url.copy_with(scheme=chosen.scheme, host=chosen.host, port=chosen.port)
        headers = request.headers.copy()
        headers["Host"] = url.netloc.decode("ascii")
        sent = httpx.Request(
            request.method,
            url,
            headers=headers,
            extensions=in_time(request.extensions, math.inf if most_s is None else most_s),
            stream=request.stream,
        )
        try:
            return self._inner.handle_request(sent)
        except httpx.TransportError as error:
            is_late = isinstance(error, (httpx.ConnectTimeout, *_TOO_SLOW))
            is_down = is_late or isinstance(error, (*_NOT_SENT, *_CUT_OFF))
            if is_down and (not is_late or had_s >= _FAIR_S):
                self._mark_down(address)
            raise


_url = lru_cache(256)(httpx.URL)


def in_time(extensions: Mapping[str, Any], most_s: float = math.inf) -> Mapping[str, Any]:
    """The extensions of a request with no timeout over `most_s` seconds, or over the deadline."""
    most_s = deadline.left_s(most_s)
    if most_s == math.inf:
        return extensions
    timeout = extensions.get("timeout", {})
    limited = {
        name: most_s if timeout.get(name) is None else min(timeout[name], most_s)
        for name in ("connect", "read", "write", "pool")
    }
    return {**extensions, "timeout": limited}
