"""moto's S3 server on loopback, for requests to loopback: no page can reach it by DNS rebinding."""

import argparse
from collections.abc import Callable, Iterable
from typing import Any

_HOSTS = ("127.0.0.1", "localhost")

Wsgi = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


def guarded(app: Wsgi) -> Wsgi:
    """The application, for requests whose Host is loopback."""

    def answer(environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        if environ.get("HTTP_HOST", "").partition(":")[0] in _HOSTS:
            return app(environ, start)
        start("421 Misdirected Request", [("Content-Type", "text/plain")])
        return [b"This server is for programs on this machine."]

    return answer


def main() -> None:
    """Serve until the process ends."""
    from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
    from moto.server import MotoRequestHandler  # type: ignore[attr-defined]  # not in its __all__
    from werkzeug.serving import run_simple

    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--port", type=int, required=True)
    run_simple(
        "127.0.0.1",
        options.parse_args().port,
        guarded(DomainDispatcherApplication(create_backend_app)),
        threaded=True,
        request_handler=MotoRequestHandler,
    )


if __name__ == "__main__":
    main()
