"""A server whose certificate nobody vouches for is there, and the client says what is wrong."""

import http.server
import ssl
import threading
from pathlib import Path

import pytest

from petsearch.client import Client
from petsearch.domain.errors import ConfigurationError
from tests.certificates import self_signed


class _Quiet(http.server.ThreadingHTTPServer):
    def handle_error(self, *_: object) -> None:
        """The client hangs up."""


def test_a_certificate_that_is_not_trusted_is_no_absent_server(tmp_path: Path) -> None:
    with _Quiet(("127.0.0.1", 0), http.server.BaseHTTPRequestHandler) as server:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self_signed("localhost", tmp_path))
        server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            with (
                Client(f"https://localhost:{server.server_address[1]}") as client,
                pytest.raises(ConfigurationError, match=r"not trusted.*SSL_CERT_FILE"),
            ):
                client.search("grey cat")
        finally:
            server.shutdown()
            thread.join()
