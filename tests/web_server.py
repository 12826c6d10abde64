"""A web server for tests of what is fetched from the web: says what its answers tell it to."""

import ssl
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Self

Answer = Callable[[BaseHTTPRequestHandler], None]


class WebServer:
    """Serves on 127.0.0.1; `answers` by path, which tests may change while it runs."""

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self.answers: dict[str, Answer] = {}
        self.seen: list[tuple[str, dict[str, str]]] = []
        """Paths that were asked for, with their headers in lower case."""
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        if tls:
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True)
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.02,), daemon=True
        )

    @property
    def port(self) -> int:
        """Where it listens."""
        return self._server.server_port

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                said = {name.lower(): value for name, value in self.headers.items()}
                outer.seen.append((self.path, said))
                outer.answers.get(self.path, gives(404))(self)

            def log_message(self, *arguments: object) -> None:
                """Keep quiet."""

        return Handler


def gives(status: int, body: bytes = b"", **headers: str) -> Answer:
    """An answer; `_` in the names of headers stands for `-`."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        for name, value in {"Content_Length": str(len(body)), **headers}.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.end_headers()
        handler.wfile.write(body)

    return answer


def drips(part: bytes, pause: threading.Event, pause_s: float) -> Answer:
    """An answer that sends `part` again and again until `pause` is set or nobody listens."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        try:
            while not pause.wait(pause_s):
                handler.wfile.write(part)
                handler.wfile.flush()
        except OSError:
            return

    return answer
