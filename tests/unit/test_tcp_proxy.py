"""The proxy of the fault tests: what it passes on, and what a cut does."""

import contextlib
import socket
import threading
from collections.abc import Iterator

import pytest

from tests.tcp_proxy import TcpProxy


@pytest.fixture
def echo_port() -> Iterator[int]:
    """A server that sends back what it gets, a connection at a time."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=_echo, args=(connection,), daemon=True).start()

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    yield listener.getsockname()[1]
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()
    thread.join()


@pytest.fixture
def proxy(echo_port: int) -> Iterator[TcpProxy]:
    with TcpProxy(echo_port) as opened:
        yield opened


def test_bytes_go_there_and_back(proxy: TcpProxy) -> None:
    with _connected(proxy) as connection:
        sent = bytes(range(256)) * 4096
        threading.Thread(target=connection.sendall, args=(sent,), daemon=True).start()
        assert _read(connection, len(sent)) == sent


def test_a_cut_resets_what_is_open_and_what_is_new(proxy: TcpProxy) -> None:
    with _connected(proxy) as connection:
        connection.sendall(b"meow")
        assert _read(connection, 4) == b"meow"
        proxy.cut()
        with pytest.raises(ConnectionResetError):
            connection.recv(1)
    with pytest.raises(ConnectionError), _connected(proxy) as connection:
        connection.sendall(b"meow")
        connection.recv(1)
    proxy.restore()
    with _connected(proxy) as connection:
        connection.sendall(b"purr")
        assert _read(connection, 4) == b"purr"


def test_what_is_frozen_flows_on(proxy: TcpProxy) -> None:
    with _connected(proxy) as connection:
        proxy.freeze()
        connection.sendall(b"meow")
        connection.settimeout(0.2)
        with pytest.raises(TimeoutError):
            connection.recv(1)
        connection.settimeout(10)
        proxy.restore()
        assert _read(connection, 4) == b"meow"


def _connected(proxy: TcpProxy) -> socket.socket:
    return socket.create_connection(("127.0.0.1", proxy.port), 10)


def _echo(connection: socket.socket) -> None:
    with connection, contextlib.suppress(ConnectionError):
        while data := connection.recv(65536):
            connection.sendall(data)


def _read(connection: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        got = connection.recv(size - len(data))
        assert got, "the connection ended"
        data += got
    return data
