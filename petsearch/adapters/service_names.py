"""All addresses of the services behind a name, such as a headless Service's or a compose service's.

Names are resolved again every few seconds, in the background: after the first, no request waits for
a name server.
"""

import ipaddress
import socket
import threading
import time
from collections.abc import Callable, Sequence
from urllib.parse import urlsplit

from petsearch.observability import get_logger

log = get_logger(__name__)

FRESH_S = 3.0
"""How old the addresses may be; a service that was added is asked soon after."""
Lookup = Callable[[str], Sequence[str]]
"""The IP addresses of a host name; raises `OSError` if there are none."""


def lookup_host(host: str) -> list[str]:
    """The IPv4 addresses of a host, or those of IPv6 if it has no others; sorted.

    Raises:
        OSError: the name is unknown, or the name server does not answer.
    """
    found = {entry[4][0] for entry in socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)}
    addresses = [ipaddress.ip_address(str(address).partition("%")[0]) for address in found]
    version = min(address.version for address in addresses)  # a service has one of each
    return [str(address) for address in sorted(a for a in addresses if a.version == version)]


class ServiceNames:
    """The addresses of services, given by their names: call it for those that are known now.

    Args:
        addresses: of `split_addresses`. Those of https are left as they are, for their
            certificates name the host.
        clock: seconds, monotonic.
    """

    def __init__(
        self,
        addresses: Sequence[str],
        *,
        lookup: Lookup = lookup_host,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._given = addresses
        self._lookup = lookup
        self._clock = clock
        self._found: dict[str, tuple[str, ...]] = {}
        self._read_at: float | None = None
        self._reading = threading.Lock()

    def __call__(self) -> tuple[str, ...]:
        """The addresses, at least one; a name that cannot be resolved stays as it is."""
        if self._read_at is None:
            with self._reading:
                if self._read_at is None:
                    self._read()
        elif self._clock() - self._read_at > FRESH_S and self._reading.acquire(blocking=False):
            try:
                threading.Thread(target=self._read_and_release, daemon=True).start()
            except RuntimeError:
                # At the limit of threads: what was found before may still be there.
                self._reading.release()
        found = self._found
        every = [one for given in self._given for one in found.get(given, (given,))]
        return tuple(dict.fromkeys(every))

    def _read_and_release(self) -> None:
        try:
            self._read()
        finally:
            self._reading.release()

    def _read(self) -> None:
        found = dict(self._found)
        for given in self._given:
            parts = urlsplit(given)
            if parts.scheme == "http" and parts.hostname:
                try:
                    hosts = self._lookup(parts.hostname)
                except (OSError, UnicodeError) as error:  # what was found before may still be there
                    log.debug("a name is not resolved", name=parts.hostname, reason=str(error))
                    continue
                found[given] = tuple(_with_host(given, host) for host in hosts)
        if self._read_at is not None and found != self._found:
            log.info("services behind a name changed", addresses=sum(map(len, found.values())))
        self._found, self._read_at = found, self._clock()


def _with_host(address: str, host: str) -> str:
    parts = urlsplit(address)
    host = f"[{host}]" if ":" in host else host
    netloc = host if parts.port is None else f"{host}:{parts.port}"
    return parts._replace(netloc=netloc).geturl()
