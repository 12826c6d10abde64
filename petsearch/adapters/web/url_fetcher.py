"""Fetches photos from URLs that clients send, without giving them access to private networks.

Only http and https, no name or password in the address, only public hosts (guarded_network), at
most three redirects, each checked like the first; bounded in bytes and in time.
"""

import time
from collections.abc import Callable

import httpcore
import httpx

from petsearch.adapters.web.guarded_network import (
    GuardedNetwork,
    Resolver,
    remaining,
    system_resolver,
)
from petsearch.adapters.web.public_addresses import IpAddress, is_public
from petsearch.domain.errors import (
    InvalidInput,
    NotAnImage,
    NotFound,
    Overloaded,
    TooLarge,
    Unavailable,
)
from petsearch.failover import retry_after_s
from petsearch.photos import formats
from petsearch.sources.names import kind_of
from petsearch.sources.source import Fetcher
from petsearch.sources.url_list import SCHEME, last_part_of

_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_GONE = frozenset({404, 410})
_TRY_LATER = frozenset({408, 425, 429})
_PARTIAL, _NO_SUCH_RANGE = 206, 416
_PROBE_BYTES = 64 * 1024
"""What an address costs whose name does not tell, if it is of no photo."""
_HEADERS = {
    "Accept": "image/*, */*;q=0.1",
    # A compressed body could unpack to any size.
    "Accept-Encoding": "identity",
    "Connection": "close",
    "User-Agent": "petsearch",
}
_LONGEST_WAIT_S = 3600.0
_MAX_REDIRECTS = 3


class UrlFetcher(Fetcher):
    """The `Fetcher` for `url:<address>`.

    Args:
        timeout_s: of one fetch, redirects included.
        resolve: host and port to addresses.
        is_allowed: which addresses may be connected to.
    """

    def __init__(
        self,
        *,
        timeout_s: float = 30.0,
        resolve: Resolver = system_resolver,
        is_allowed: Callable[[IpAddress], bool] = is_public,
    ) -> None:
        self._timeout_s = timeout_s
        self._resolve = resolve
        self._is_allowed = is_allowed
        self._tls = httpx.create_ssl_context()

    def fetch(self, origin: str, *, max_bytes: int) -> bytes:
        address = origin.removeprefix(f"{SCHEME}:")
        url = _checked(address)
        deadline = time.monotonic() + self._timeout_s
        network = GuardedNetwork(self._resolve, self._is_allowed, deadline)
        try:
            # A pool for this fetch alone: its connections know its deadline.
            with httpcore.ConnectionPool(self._tls, network_backend=network) as pool:
                if not kind_of(last_part_of(address)).is_known:
                    found = _follow(pool, url, max_bytes, deadline, is_probe=True)
                    if found is not None:
                        return found
                return _follow(pool, url, max_bytes, deadline) or b""
        except (httpcore.NetworkError, httpcore.TimeoutException, httpcore.ProtocolError) as error:
            raise Unavailable(f"{url.host} does not answer: {error}") from error


def _follow(
    pool: httpcore.ConnectionPool,
    url: httpx.URL,
    max_bytes: int,
    deadline: float,
    *,
    is_probe: bool = False,
) -> bytes | None:
    """The bytes at an address, or where it leads to.

    Args:
        is_probe: ask for the first bytes, and read on only if they are of a photo; None if the rest
            must be asked for.
    """
    for _ in range(_MAX_REDIRECTS + 1):
        found = _get(pool, url, max_bytes, deadline, is_probe=is_probe)
        if not isinstance(found, httpx.URL):
            return found
        url = found
    raise InvalidInput(f"The address redirects more than {_MAX_REDIRECTS} times.")


def _get(
    pool: httpcore.ConnectionPool,
    url: httpx.URL,
    max_bytes: int,
    deadline: float,
    *,
    is_probe: bool,
) -> bytes | httpx.URL | None:
    """The bytes, or the target of a redirect; see `_follow`."""
    address = httpcore.URL(
        scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path
    )
    headers = [("Host", url.netloc.decode("ascii")), *_HEADERS.items()]
    if is_probe:
        headers.append(("Range", f"bytes=0-{_PROBE_BYTES - 1}"))
    with pool.stream("GET", address, headers=headers) as response:
        answered = httpx.Headers(response.headers)
        if response.status in _REDIRECTS:
            return _target(url, answered.get("location"))
        if is_probe and response.status == _NO_SUCH_RANGE:
            return None
        is_part = is_probe and response.status == _PARTIAL
        _check_status(200 if is_part else response.status, url.host, answered)
        data = _read(response, answered, max_bytes, deadline, is_probe=is_probe)
        return data if not is_part or _is_whole(data, answered) else None


def _checked(text: str, base: httpx.URL | None = None) -> httpx.URL:
    try:
        url = httpx.URL(text if base is None else str(base.join(text)))
        # The host, too: only here is it decoded, if it is international.
        is_complete = url.scheme in ("http", "https") and bool(url.host)
    except (httpx.InvalidURL, ValueError) as error:
        raise InvalidInput(f"{text[:200]!r} is no web address.") from error
    if not is_complete:
        raise InvalidInput("Only addresses that begin with http:// or https:// are fetched.")
    if url.userinfo:
        raise InvalidInput("An address with a name or password in it is not fetched.")
    return url


def _target(url: httpx.URL, location: str | None) -> httpx.URL:
    if not location:
        raise InvalidInput(f"{url.host} redirects to nowhere.")
    return _checked(location, url)


def _check_status(status: int, host: str, headers: httpx.Headers) -> None:
    if status == 200:
        return
    if status in _GONE:
        raise NotFound(f"{host} has nothing at this address ({status}).")
    wait_s = min(retry_after_s(headers), _LONGEST_WAIT_S)
    if status == 429:
        raise Overloaded(f"{host} asks for fewer requests.", retry_after_s=wait_s)
    if status in _TRY_LATER or status >= 500:
        raise Unavailable(f"{host} cannot answer now ({status}).", retry_after_s=wait_s)
    raise InvalidInput(f"{host} does not return the photo: its status is {status}.")


def _is_whole(data: bytes, headers: httpx.Headers) -> bool:
    """Whether a partial answer has all there is."""
    total: str = headers.get("content-range", "").rpartition("/")[2]
    return total.strip() == str(len(data))


def _check_content(head: bytes) -> None:
    if not formats.is_picture(formats.describe(head) or ""):
        raise NotAnImage(formats.reason_of_refusal(head))


def _read(
    response: httpcore.Response,
    headers: httpx.Headers,
    max_bytes: int,
    deadline: float,
    *,
    is_probe: bool,
) -> bytes:
    if headers.get("content-encoding", "identity").strip().lower() not in ("identity", ""):
        raise InvalidInput("The photo is compressed, though the identity encoding was requested.")
    too_large = TooLarge(f"The photo is larger than {max_bytes / 1e6:.0f} MB.")
    declared = headers.get("content-length", "0")
    if declared.isascii() and declared.isdigit() and int(declared) > max_bytes:
        raise too_large
    data = bytearray()
    for part in response.iter_stream():
        is_head_read = len(data) >= formats.HEAD_BYTES
        data += part
        if is_probe and not is_head_read and len(data) >= formats.HEAD_BYTES:
            _check_content(bytes(data[: formats.HEAD_BYTES]))
        if len(data) > max_bytes:
            raise too_large
        remaining(deadline)
    if is_probe:
        _check_content(bytes(data[: formats.HEAD_BYTES]))
    return bytes(data)
