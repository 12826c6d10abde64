"""What connections hold that do not read their answers as fast as these are made."""

import asyncio
import fcntl
import socket
import struct
import sys
import termios

_RESET = struct.pack("ii", 1, 0)
"""SO_LINGER: on, for 0 seconds."""
UNREAD_BYTES = 64 << 20
"""Of all connections together."""


class Unread:
    """The connections of a process that are slow to read, in one event loop."""

    def __init__(self) -> None:
        self._bytes = dict[asyncio.Transport, int]()
        """Those that have been slow for longest come first."""
        self._all = 0

    def add(self, transport: asyncio.Transport) -> None:
        """Count a connection, and cut others off as long as all hold too much."""
        self._bytes[transport] = size = transport.get_write_buffer_size()
        self._all += size
        while self._all > UNREAD_BYTES and (first := next(iter(self._bytes))) is not transport:
            self.remove(first)
            cut_off(first)

    def count(self) -> int:
        """How many connections are slow to read now."""
        return len(self._bytes)

    def remove(self, transport: asyncio.Transport) -> None:
        """Count it no more."""
        self._all -= self._bytes.pop(transport, 0)


UNREAD = Unread()
"""Of this process."""


def unread_bytes(transport: asyncio.Transport) -> int:
    """What a client has not acknowledged, on Linux also of what the kernel holds of it.

    The kernel takes more only once a third of its buffer is free, which has megabytes.
    """
    unsent = transport.get_write_buffer_size()
    if not sys.platform.startswith("linux"):
        return unsent
    number = transport.get_extra_info("socket").fileno()
    (unacknowledged,) = struct.unpack("i", fcntl.ioctl(number, termios.TIOCOUTQ, bytes(4)))
    return unsent + int(unacknowledged)


def cut_off(transport: asyncio.Transport) -> None:
    """Close a connection now; the kernel, too, gives up what was not read."""
    transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    transport.abort()
