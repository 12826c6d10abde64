"""What the clients of the REST API share: addresses, the key, and errors as exceptions."""

import re
import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from urllib.request import getproxies, proxy_bypass

import httpx

from petsearch.domain import JsonDict
from petsearch.domain.addresses import is_loopback, without_password
from petsearch.domain.api_keys import trim_key
from petsearch.domain.errors import (
    ConfigurationError,
    Conflict,
    InvalidInput,
    NotFound,
    Outdated,
    Overloaded,
    PetsearchError,
    TooLarge,
    Unavailable,
)
from petsearch.failover import FailoverTransport, proxy_errors, split_addresses
from petsearch.sources.spec import MAX_URLS

_CONNECTION_RETRIES = 2
_MOST_CONNECTIONS = 50
"""Of one asynchronous client; its further calls wait. A server refuses more searches at a time."""
_MOST_URL_BYTES = 1_000_000
"""Of a list sent as JSON; `POST /v1/jobs` takes 2 MB."""
_ID = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_.-]*")
_NOT_IN_A_KEY = re.compile(r"[^!-~]")
_ERROR_OF: Mapping[int, type[PetsearchError]] = {
    400: InvalidInput,
    404: NotFound,
    408: Unavailable,
    409: Conflict,
    412: Outdated,
    413: TooLarge,
    422: InvalidInput,
    429: Overloaded,
}


def open_http(
    addresses: str, api_key: str | None, timeout_s: float, transport: httpx.BaseTransport | None
) -> httpx.Client:
    """A connection to the first of several servers that can be connected to.

    Raises:
        ConfigurationError: an address is invalid, the key holds a character that no key has, or the
            proxy for the address cannot be used.
    """
    first, *others = split_addresses(addresses)
    if transport is None:
        # With several servers, the next one is tried instead of the same one again.
        retries = 0 if others else _CONNECTION_RETRIES
        url = httpx.URL(first)
        with proxy_errors(url.host):
            transport = httpx.HTTPTransport(retries=retries, proxy=_proxy_for(url))
        transport = FailoverTransport((first, *others), transport) if others else transport
    headers = _authorization(api_key or "")
    return httpx.Client(base_url=first, timeout=timeout_s, headers=headers, transport=transport)


def open_async_http(
    address: str, api_key: str | None, timeout_s: float, transport: httpx.AsyncBaseTransport | None
) -> httpx.AsyncClient:
    """A connection to one server.

    Raises:
        ConfigurationError: there are several addresses or an invalid one, the key holds a
            character that no key has, or the proxy for the address cannot be used.
    """
    first, *others = split_addresses(address)
    if others:
        raise ConfigurationError("The asynchronous client takes the address of one server.")
    if transport is None:
        limits = httpx.Limits(max_connections=_MOST_CONNECTIONS)
        url = httpx.URL(first)
        with proxy_errors(url.host):
            transport = httpx.AsyncHTTPTransport(
                retries=_CONNECTION_RETRIES, limits=limits, proxy=_proxy_for(url)
            )
    headers = _authorization(api_key or "")
    return httpx.AsyncClient(
        base_url=first, timeout=timeout_s, headers=headers, transport=transport
    )


def _proxy_for(address: httpx.URL) -> str | None:
    """The proxy that the environment names for an address; none for this machine."""
    named = getproxies()
    proxy = named.get(address.scheme) or named.get("all")
    if not proxy or is_loopback(address.host) or proxy_bypass(address.netloc.decode()):
        return None
    return proxy if "://" in proxy else f"http://{proxy}"


def segment(name: str) -> str:
    """An id as a part of a path, where `../keys` would be another call.

    Raises:
        InvalidInput: no id is written so.
    """
    if not _ID.fullmatch(name):
        raise InvalidInput(f"{name[:60]!r} is no id.")
    return name


def body_of(response: httpx.Response) -> JsonDict:
    """The object that an answer holds.

    Raises:
        Unavailable: it holds none, so another program answers there.
    """
    try:
        body = response.json()
    except ValueError:
        body = None
    if not isinstance(body, dict):
        raise Unavailable(
            f"What answers at {without_password(str(response.url.copy_with(query=None)))} is not "
            "petsearch's API: check the address."
        )
    return body


@contextmanager
def unavailable_on_error(address: str) -> Iterator[None]:
    """Turn an answer that did not come into `Unavailable`.

    Raises:
        ConfigurationError: the server's certificate is not trusted.
    """
    try:
        yield
    except httpx.HTTPError as error:
        if (reason := _distrust(error)) is not None:
            raise ConfigurationError(
                f"The certificate of {without_password(address)} is not trusted ({reason}). Use "
                "the name that it is for; if your own authority issued it, name the authority's "
                "certificate in SSL_CERT_FILE."
            ) from error
        raise Unavailable(
            f"No petsearch server answers at {without_password(address)} ({error}). "
            "Start one with: petsearch serve"
        ) from error


def _distrust(error: BaseException | None) -> str | None:
    """Why a certificate was refused; None if that is not what went wrong."""
    while error is not None:
        if isinstance(error, ssl.SSLCertVerificationError):
            return error.verify_message
        error = error.__cause__ or error.__context__
    return None


def raise_for_status(response: httpx.Response) -> None:
    """Raise the exception of a problem; the response has been read."""
    if response.is_success:
        return
    try:
        detail = str(response.json()["detail"])
    except (ValueError, KeyError, TypeError):
        detail = f"The server answered {response.status_code} {response.reason_phrase}."
    kind = _ERROR_OF.get(response.status_code)
    if kind is None:
        kind = Unavailable if response.status_code >= 500 else PetsearchError
    raise kind(detail)


def without_none(options: Mapping[str, Any]) -> dict[str, Any]:
    """The options that were given."""
    return {name: value for name, value in options.items() if value is not None}


def fit_in_json(urls: list[str]) -> bool:
    """Whether a job with these URLs is small enough to be sent as JSON."""
    return len(urls) <= MAX_URLS and sum(map(len, urls)) <= _MOST_URL_BYTES


def _authorization(api_key: str) -> dict[str, str]:
    """The header that presents a key. Errors never contain the key."""
    key = trim_key(api_key)
    wrong = _NOT_IN_A_KEY.search(key)
    if wrong:
        raise ConfigurationError(
            f"The API key cannot be used: its character {wrong.start() + 1} is "
            f"U+{ord(wrong[0]):04X}, which no key has. Copy it again; it looks like ps_…"
        )
    return {"Authorization": f"Bearer {key}"} if key else {}
