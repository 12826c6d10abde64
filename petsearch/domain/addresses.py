"""Addresses: as they may be shown, those of this machine, and proxies on the way."""

import ipaddress
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from petsearch.domain.errors import ConfigurationError


def without_password(address: str) -> str:
    """The address without what stands before its last `@`, which may hold a password.

    That password may itself hold `/`, `@` or a comma, so rather too much is left out.
    """
    has_scheme = "://" in address
    scheme, separator, rest = address.partition("://") if has_scheme else ("", "", address)
    return f"{scheme}{separator}{rest.rpartition('@')[2]}"


def is_loopback(host: str) -> bool:
    """Whether a host is this machine, by its name or its address."""
    with suppress(ValueError):
        return ipaddress.ip_address(host).is_loopback
    return host == "localhost"


@contextmanager
def proxy_errors(host: str) -> Iterator[None]:
    """Raise `ConfigurationError` where httpx cannot use the proxy that is named for a host."""
    try:
        yield
    except (ImportError, ValueError) as error:
        raise ConfigurationError(
            f"The proxy for {host} cannot be used: {error} HTTP_PROXY, HTTPS_PROXY or ALL_PROXY "
            f"names it; name {host} in NO_PROXY to do without."
        ) from error
