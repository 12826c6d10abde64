"""Addresses: as they may be shown, and those of this machine."""

import ipaddress
from contextlib import suppress


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
