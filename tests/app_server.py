"""An ASGI application under a real uvicorn in a thread of the test."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import uvicorn
from starlette.types import ASGIApp

_START_S = 30.0


class _Server(uvicorn.Server):
    """A uvicorn server that says when it answers."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.answers = threading.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.answers.set()


@contextmanager
def served_app(app: ASGIApp, **options: Any) -> Iterator[str]:
    """The address where `app` answers until the block ends; `options` are uvicorn's."""
    listener = socket.create_server(("127.0.0.1", 0))
    options = {"proxy_headers": False, "timeout_keep_alive": 75, **options}
    server = _Server(uvicorn.Config(app, log_config=None, **options))
    thread = threading.Thread(target=server.run, args=([listener],))
    thread.start()
    try:
        assert server.answers.wait(_START_S)
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(_START_S)
        listener.close()
