"""A TCP proxy that can be cut off: between a program and a server that must not be killed."""

import asyncio
import contextlib
import signal
import socket
import struct
import sys
import threading
from collections.abc import Coroutine
from typing import Self

_CHUNK = 65536
_RESET = struct.pack("ii", 1, 0)
"""SO_LINGER with no time to linger: closing sends a reset, as a cable that is pulled may."""


class TcpProxy:
    """Passes connections on to `target_port` of loopback; `port` is where it listens at `host`."""

    def __init__(self, target_port: int, *, host: str = "127.0.0.1", port: int = 0) -> None:
        self._target_port = target_port
        self._open: set[asyncio.StreamWriter] = set()
        self._loop = asyncio.new_event_loop()
        self._passing = True
        self._flowing = asyncio.Event()
        self._flowing.set()
        listener = socket.create_server((host, port))
        self.port: int = listener.getsockname()[1]
        # In its own thread: a browser test may have left a loop running in this one.
        self._thread = threading.Thread(target=self._loop.run_forever, name="proxy", daemon=True)
        self._thread.start()
        started = asyncio.run_coroutine_threadsafe(self._start(listener), self._loop)
        self._server = started.result(10)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def cut(self) -> None:
        """Reset every connection, and each new one, until `restore`."""
        self._call(self._cut())

    def freeze(self) -> None:
        """Let nothing through until `restore`, and say nothing: as a network that drops packets."""
        self._call(self._freeze())

    def restore(self) -> None:
        """Pass on again; what was frozen flows on."""
        self._call(self._restore())

    def close(self) -> None:
        """End every connection and stop listening."""
        self._call(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _call(self, work: Coroutine[None, None, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(10)

    async def _start(self, listener: socket.socket) -> asyncio.Server:
        return await asyncio.start_server(self._serve, sock=listener)

    async def _cut(self) -> None:
        self._passing = False
        for writer in tuple(self._open):
            _reset(writer)

    async def _freeze(self) -> None:
        self._passing = True
        self._flowing.clear()

    async def _restore(self) -> None:
        self._passing = True
        self._flowing.set()

    async def _close(self) -> None:
        self._server.close()
        await self._cut()
        self._flowing.set()
        running = asyncio.all_tasks(self._loop) - {asyncio.current_task()}
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if not self._passing:
            _reset(writer)
            return
        self._open.add(writer)
        try:
            await self._flowing.wait()
            await self._join(reader, writer)
        except OSError:
            _reset(writer)  # the server is not there, or was cut off while we connected
        finally:
            self._open.discard(writer)
            writer.close()

    async def _join(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._target_port)
        self._open.add(far_writer)
        try:
            await asyncio.gather(self._pump(reader, far_writer), self._pump(far_reader, writer))
        finally:
            self._open.discard(far_writer)
            far_writer.close()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(_CHUNK):
                await self._flowing.wait()
                writer.write(data)
                await writer.drain()
        # One side is done: the other hears of it, and answers what it still has to.
        with contextlib.suppress(OSError):
            writer.write_eof()


def _reset(writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    writer.transport.abort()


if __name__ == "__main__":
    with TcpProxy(int(sys.argv[3]), host=sys.argv[1], port=int(sys.argv[2])):
        signal.pause()
