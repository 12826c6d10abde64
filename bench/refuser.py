"""A server that refuses whatever it is asked, in a process of its own: `python -m bench.refuser`.

A control: what a crowd takes of the machine that the server under test shares with it.
"""

import asyncio
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import cast

import uvloop

from bench.crowd import NICENESS
from bench.http_line import END_OF_HEAD, body_bytes

_REFUSAL = b"HTTP/1.1 429 Too Many Requests\r\nRetry-After: 1\r\nContent-Length: 0\r\n\r\n"


@contextmanager
def refuser() -> Iterator[int]:
    """The port of a server that refuses, until the block ends."""
    command = [sys.executable, "-m", "bench.refuser"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield int(process.stdout.readline())
        finally:
            process.kill()


class _Refusing(asyncio.Protocol):
    """Answers each request when its last byte has come."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._head = b""
        self._left = 0

    def data_received(self, data: bytes) -> None:
        if self._left:
            self._left -= len(data)
        else:
            self._head += data
            head, end, body = self._head.partition(END_OF_HEAD)
            if not end:
                return
            self._left = body_bytes(head) - len(body)
            self._head = b""
        if not self._left:
            self._transport.write(_REFUSAL)


async def _serve() -> None:
    server = await asyncio.get_running_loop().create_server(_Refusing, "127.0.0.1", 0)
    sys.stdout.write(f"{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    await server.serve_forever()


if __name__ == "__main__":
    os.nice(NICENESS)
    uvloop.run(_serve())
