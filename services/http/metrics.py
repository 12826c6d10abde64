"""The base of every service's metrics: a registry of its own, and how Prometheus reads it.

Imports no web framework: a worker serves metrics and has none.
"""

from wsgiref.simple_server import WSGIServer

from prometheus_client import CollectorRegistry, generate_latest, start_http_server

from petsearch.observability import get_logger

log = get_logger(__name__)

MEDIA_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class ServedMetrics:
    """A registry that can be served on a port of its own, which is not public."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._server: WSGIServer | None = None

    def render(self) -> bytes:
        """All metrics in Prometheus' text format."""
        return generate_latest(self.registry)

    def serve(self, port: int) -> None:
        """Answer `GET /metrics` on all addresses, in a thread that ends with the process."""
        self._server, _ = start_http_server(port, registry=self.registry)
        log.info("serving metrics", port=port)

    def close(self) -> None:
        """Close the port."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
