"""An HTTP transport over several addresses of one service, with failover.

Addresses are written `http://a:8000,http://b:8000`. A request goes to one of them; if that cannot
be connected to, it goes to the next one, once each. A request that may be repeated also goes on
when the connection ends before an answer began, as it does where a server has just stopped, and
when the answer is that this server cannot serve now.
"""

import threading
import time
from collections.abc import Callable, Container, Sequence
from urllib.parse import urlsplit

import httpx

from petsearch.domain.errors import ConfigurationError

_SHUNNED_S = 5.0
"""How long an address that did not answer is tried last."""
ONLY = "petsearch.only_address"
"""A request's extension: the number of the one address it is for, counted from 0."""
_NOT_SENT = (httpx.ConnectError, httpx.ConnectTimeout)
_CUT_OFF = (httpx.RemoteProtocolError, httpx.ReadError, httpx.WriteError)


def split_addresses(addresses: str) -> tuple[str, ...]:
    """The addresses in a list with commas, at least one, without slashes at their ends.

    Raises:
        ConfigurationError: one is no http address, or one of several has more than host and port.
    """
    found = tuple(part.strip().rstrip("/") for part in addresses.split(",") if part.strip())
    for address in found or (addresses,):
        parts = urlsplit(address)
        is_bare = address == f"{parts.scheme}://{parts.netloc}"
        if parts.scheme not in ("http", "https") or not (is_bare or len(found) == 1):
            raise ConfigurationError(
                f"{address!r} is not the address of a service. Write http://host:8000, or several "
                "as http://a:8000,http://b:8000."
            )
    return found


def may_be_repeated(request: httpx.Request) -> bool:
    """Whether sending it twice is the same as once: reads, and the searches that are posted."""
    return request.method in ("GET", "HEAD") or request.url.path.startswith("/v1/search")


class FailoverTransport(httpx.BaseTransport):
    """Sends requests to one of several addresses.

    Args:
        addresses: of `split_addresses`. Requests are made for the first of them.
        inner: what sends; closed with this.
        spread: take turns, instead of staying with one until it fails.
        repeatable: whether a request may be sent again after its connection was cut.
        passed_over: statuses after which a repeatable request goes on to the next address.
        clock: seconds, only ever forward.
    """

    def __init__(
        self,
        addresses: Sequence[str],
        inner: httpx.BaseTransport,
        *,
        spread: bool = False,
        repeatable: Callable[[httpx.Request], bool] = may_be_repeated,
        passed_over: Container[int] = (httpx.codes.SERVICE_UNAVAILABLE,),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._urls = [httpx.URL(address) for address in addresses]
        self._inner = inner
        self._spread = spread
        self._repeatable = repeatable
        self._passed_over = passed_over
        self._clock = clock
        self._changing = threading.Lock()
        self._preferred = 0
        self._shunned_until = [0.0] * len(self._urls)

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """The answer of the first address that answers; the last one's error if none does."""
        only = request.extensions.get(ONLY)
        *others, last = self._order() if only is None else [int(only)]
        for number in others:
            try:
                answer = self._send(request, number)
                if answer.status_code not in self._passed_over or not self._repeatable(request):
                    return answer
                answer.close()
                if answer.status_code == httpx.codes.SERVICE_UNAVAILABLE:
                    self._shun(number)
            except _NOT_SENT:
                self._shun(number)
            except _CUT_OFF:
                self._shun(number)
                if not self._repeatable(request):
                    raise
        return self._send(request, last)

    def close(self) -> None:
        """Close the connections."""
        self._inner.close()

    def _order(self) -> list[int]:
        """Which address is asked first, second …"""
        count = len(self._urls)
        with self._changing:
            first, now = self._preferred, self._clock()
            if self._spread:
                self._preferred = (first + 1) % count
            turn = [(first + offset) % count for offset in range(count)]
            return sorted(turn, key=lambda number: self._shunned_until[number] > now)

    def _shun(self, number: int) -> None:
        with self._changing:
            self._shunned_until[number] = self._clock() + _SHUNNED_S
            if self._preferred == number:
                self._preferred = (number + 1) % len(self._urls)

    def _send(self, request: httpx.Request, number: int) -> httpx.Response:
        chosen = self._urls[number]
        url = request.url.copy_with(scheme=chosen.scheme, host=chosen.host, port=chosen.port)
        headers = request.headers.copy()
        headers["Host"] = url.netloc.decode("ascii")
        sent = httpx.Request(
            request.method,
            url,
            headers=headers,
            extensions=request.extensions,
            stream=request.stream,
        )
        return self._inner.handle_request(sent)
