"""Connections of httpcore that go only to addresses that were checked, and end at a deadline.

The name is resolved here and the very address that was checked is connected to, so an answer of
the name server that changes in between changes nothing. httpcore still sends the name as Host and
in TLS. A redirect to another host is another connection, so it is checked like the first.
"""

import ipaddress
import socket
import ssl
import time
from collections.abc import Callable, Iterable, Sequence

import httpcore

from petsearch.adapters.web.public_addresses import IpAddress
from petsearch.domain.errors import InvalidInput, NotFound, Unavailable

Resolver = Callable[[str, int], Sequence[str]]
"""Host and port to addresses as text; raises `OSError`."""

_CONNECT_S = 5.0


def system_resolver(host: str, port: int) -> Sequence[str]:
    """What this machine's own resolver answers."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(address[0]) for *_, address in found]


class GuardedNetwork(httpcore.NetworkBackend):
    """Connects for one fetch.

    Args:
        is_allowed: judges every address of a host; one refused address refuses the host.
        deadline: of everything that is done over it, on `time.monotonic`.
    """

    def __init__(
        self, resolve: Resolver, is_allowed: Callable[[IpAddress], bool], deadline: float
    ) -> None:
        self._resolve = resolve
        self._is_allowed = is_allowed
        self._deadline = deadline
        self._network = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.NetworkStream:
        """See `httpcore.NetworkBackend`.

        Raises:
            InvalidInput: the host has an address that is not allowed.
            NotFound: there is no such host.
            Unavailable: the name server does not answer.
        """
        failure: httpcore.NetworkError | httpcore.TimeoutException | None = None
        for address in self._checked_addresses(host, port):
            time_s = min(timeout or _CONNECT_S, _CONNECT_S, remaining(self._deadline))
            try:
                stream = self._network.connect_tcp(
                    address, port, time_s, local_address, socket_options
                )
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failure = error  # IPv6 where this machine has none, say
                continue
            return _TimedStream(stream, self._deadline)
        raise failure or NotFound(f"There is no host {host}.")

    def _checked_addresses(self, host: str, port: int) -> list[str]:
        try:
            found = self._resolve(host, port)
            addresses = [ipaddress.ip_address(text.partition("%")[0]) for text in found]
        except socket.gaierror as error:
            if error.errno == socket.EAI_AGAIN:
                raise Unavailable(f"The name server does not answer for {host}.") from error
            raise NotFound(f"There is no host {host}.") from error
        except UnicodeError as error:  # such as a part of no letters: no name server has it
            raise NotFound(f"There is no host {host}.") from error
        except (OSError, ValueError) as error:
            raise Unavailable(f"The address of {host} cannot be found out.") from error
        if not all(self._is_allowed(address) for address in addresses):
            raise InvalidInput(
                f"{host} is not on the public internet; photos are fetched only from there."
            )
        return [str(address) for address in addresses]


def remaining(deadline: float) -> float:
    """Seconds until `deadline`.

    Raises:
        httpcore.ReadTimeout: it is over.
    """
    left = deadline - time.monotonic()
    if left <= 0:
        raise httpcore.ReadTimeout("the time for one photo is over")
    return left


class _TimedStream(httpcore.NetworkStream):
    """A stream that ends at a deadline, however slowly bytes keep coming."""

    def __init__(self, stream: httpcore.NetworkStream, deadline: float) -> None:
        self._stream = stream
        self._deadline = deadline

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._stream.read(max_bytes, self._time(timeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._stream.write(buffer, self._time(timeout))

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore.NetworkStream:
        secure = self._stream.start_tls(ssl_context, server_hostname, self._time(timeout))
        return _TimedStream(secure, self._deadline)

    def get_extra_info(self, info: str) -> object:
        return self._stream.get_extra_info(info)

    def _time(self, timeout: float | None) -> float:
        left = remaining(self._deadline)
        return left if timeout is None else min(timeout, left)
