"""Connection draining between SIGTERM and the exit: requests are served, connections are closed.

Load balancers and clients with several addresses move away before the address is gone. uvicorn by
itself closes its socket at the signal, while others still send requests to it.
"""

import asyncio
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType

from starlette.datastructures import MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import Message, Receive, Scope, Send

from petsearch.observability import get_logger
from services.http.asgi import HttpMiddleware

log = get_logger(__name__)

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Draining:
    """Whether the process is about to exit."""

    has_begun = False
    """From then on `/readyz` is 503 and answers close their connections."""

    @contextmanager
    def on_signals(self, seconds: float) -> Iterator[None]:
        """Let the first SIGINT or SIGTERM begin it, and have its effect `seconds` later.

        A second signal has its effect at once. To be entered in the server's event loop.
        """
        if threading.current_thread() is not threading.main_thread():
            yield  # a server in a thread is stopped by other means
            return
        loop = asyncio.get_running_loop()
        handlers = {number: signal.getsignal(number) for number in _SIGNALS}

        def finish(number: int, frame: FrameType | None) -> None:
            handler = handlers[signal.Signals(number)]
            assert callable(handler), "only servers that handle signals can drain"
            handler(number, frame)

        def handle(number: int, frame: FrameType | None) -> None:
            if self.has_begun:
                finish(number, frame)
                return
            self.has_begun = True
            loop.call_soon_threadsafe(lambda: log.info("draining", seconds=seconds))
            loop.call_soon_threadsafe(loop.call_later, seconds, finish, number, None)

        for number in _SIGNALS:
            signal.signal(number, handle)
        try:
            yield
        finally:
            for number, handler in handlers.items():
                signal.signal(number, handler)


@dataclass(eq=False)
class DrainingGuard(HttpMiddleware):
    """Closes connections and fails `/readyz` while the process drains; the outermost middleware."""

    draining: Draining

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_and_close(message: Message) -> None:
            if message["type"] == "http.response.start" and self.draining.has_begun:
                MutableHeaders(scope=message)["Connection"] = "close"
            await send(message)

        if self.draining.has_begun and scope["path"] == "/readyz":
            answer = JSONResponse({"status": "draining", "checks": {}}, 503)
            await answer(scope, receive, send_and_close)
            return
        await self.app(scope, receive, send_and_close)
