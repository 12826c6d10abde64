"""Several nodes of an index behind one address list, while one of them is away."""

import contextvars
import socket
import threading
from collections.abc import Callable, Iterator
from concurrent import futures
from pathlib import Path
from typing import Any

import grpc
import pytest
from qdrant_client import QdrantClient
from qdrant_client import grpc as messages
from qdrant_client.grpc import points_service_pb2_grpc as points_service

from devstack import parts
from devstack.addresses import free_port
from petsearch.adapters.qdrant import nodes
from petsearch.adapters.qdrant.index import QdrantIndex, connect
from petsearch.adapters.qdrant.nodes import Nodes
from petsearch.domain import Filters, deadline
from petsearch.domain.errors import ConfigurationError, Unavailable
from tests.contract.records import DIM, embedding, point, record
from tests.processes import Processes
from tests.tcp_proxy import TcpProxy
from tests.waiting import wait_until

PETS = "pets-model-0"
ALL = Filters()


@pytest.fixture(scope="module")
def server_port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    port = free_port()
    with Processes(tmp_path_factory.mktemp("qdrant")) as processes:
        processes.add_part(parts.qdrant_server(port)).wait_until_up()
        yield port


@pytest.fixture
def first(server_port: int) -> Iterator[TcpProxy]:
    """The way to the first node, which can be cut."""
    with TcpProxy(server_port) as proxy:
        yield proxy


@pytest.fixture
def index(server_port: int, first: TcpProxy) -> Iterator[QdrantIndex]:
    """An index of two nodes that know the same; it waits for either for a second."""
    clients = [client_of(port) for port in (first.port, server_port)]
    opened = index_of(clients)
    for found in clients[1].get_collections().collections:
        clients[1].delete_collection(found.name)
    opened.create_collection(PETS, DIM)
    opened.point_alias_to(PETS)
    opened.insert(PETS, [point(1), point(2)])
    yield opened
    first.restore()
    opened.close()


def client_of(port: int) -> QdrantClient:
    """A client that waits for a second."""
    return QdrantClient(url=f"http://127.0.0.1:{port}", timeout=1, check_compatibility=False)


def index_of(clients: list[QdrantClient]) -> QdrantIndex:
    """An index of several nodes."""
    return QdrantIndex(Nodes(clients))  # type: ignore[arg-type]  # of the calls used here


def calls_of(index: QdrantIndex) -> dict[str, Callable[[], Any]]:
    ids = [record(1).image_id]
    return {
        "search": lambda: index.search(PETS, embedding(0.1), limit=1, filters=ALL),
        "known": lambda: index.known_ids(PETS, ids),
        "records": lambda: index.get(PETS, ids),
        "count": lambda: index.count(PETS, ALL),
        "alias": index.current,
        "insert": lambda: index.insert(PETS, [point(3)]),
        "list": lambda: index.list_ids(PETS, after=None, limit=10),
        "ping": index.ping,
    }


def ask_everything(index: QdrantIndex) -> None:
    """Make each call some times; a failure of one is that of the test."""
    for _ in range(4):
        for call in calls_of(index).values():
            call()


def test_no_call_fails_while_a_node_refuses_connections(
    index: QdrantIndex, first: TcpProxy
) -> None:
    first.cut()
    ask_everything(index)
    first.freeze()  # whoever came to it now would wait, and fail
    ask_everything(index)


def test_one_write_waits_for_a_node_that_is_silent_and_no_other_call(
    index: QdrantIndex, first: TcpProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    # It is looked at all the time, and nobody waits for these looks.
    monkeypatch.setattr(nodes, "LOOK_AGAIN_S", 0.01)
    first.freeze()
    with pytest.raises(Unavailable):
        index.insert(PETS, [point(3)])  # writes begin with the first
    ask_everything(index)


@pytest.mark.usefixtures("index")
def test_a_read_is_made_elsewhere_before_the_callers_time_is_over(
    server_port: int, first: TcpProxy
) -> None:
    first.freeze()
    addresses = (f"http://127.0.0.1:{port}" for port in (first.port, server_port))
    patient = QdrantIndex(connect(",".join(addresses), use_grpc=False))
    context = contextvars.copy_context()
    context.run(deadline.set_current, deadline.Deadline(6.0))
    assert context.run(patient.current) == PETS
    patient.close()


def test_a_node_that_answers_again_is_asked_again(
    index: QdrantIndex, first: TcpProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(nodes, "LOOK_AGAIN_S", 0.01)
    first.cut()
    assert index.current() == PETS
    away = index._client._away  # type: ignore[attr-defined]  # of Nodes
    assert away
    first.restore()

    def is_back() -> bool:
        index.ping()  # whoever calls starts the next look
        return not away

    wait_until(is_back)


def test_a_node_is_looked_at_again_after_a_time_without_threads(
    index: QdrantIndex, first: TcpProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    first.cut()
    assert index.current() == PETS
    first.restore()
    monkeypatch.setattr(nodes, "LOOK_AGAIN_S", 0.0)

    def fail(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as limited:
        limited.setattr(threading.Thread, "start", fail)
        index.ping()

    def is_back() -> bool:
        index.ping()
        return not index._client._away  # type: ignore[attr-defined]  # of Nodes

    wait_until(is_back)


@pytest.fixture
def empty_port(tmp_path: Path) -> Iterator[int]:
    """A node that knows nothing."""
    port = free_port()
    with Processes(tmp_path / "empty") as processes:
        processes.add_part(parts.qdrant_server(port)).wait_until_up()
        yield port


@pytest.mark.usefixtures("index")
def test_a_node_that_lost_its_volume_is_avoided_until_it_knows_the_alias(
    server_port: int, empty_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(nodes, "LOOK_AGAIN_S", 0.01)
    empty = client_of(empty_port)
    opened = index_of([empty, client_of(server_port)])
    assert opened.current() == PETS
    # It answers whoever looks, and is not asked: it would say that there is no such collection.
    assert [opened.count(PETS, ALL) for _ in range(20)] == [2] * 20
    alone = QdrantIndex(empty)
    alone.create_collection(PETS, DIM)
    alone.point_alias_to(PETS)
    wait_until(lambda: opened.count(PETS, ALL) == 0)
    opened.close()


def test_there_is_no_alias_where_two_nodes_know_none(empty_port: int) -> None:
    opened = index_of([client_of(empty_port), client_of(empty_port)])
    assert opened.current() is None
    opened.close()


def test_a_node_that_knows_no_alias_is_not_believed_alone(empty_port: int, first: TcpProxy) -> None:
    first.cut()
    opened = index_of([client_of(empty_port), client_of(first.port)])
    with pytest.raises(Unavailable):
        opened.current()
    opened.close()


class Counts(points_service.PointsServicer):
    """The gRPC service of a node, of which one call is there."""

    def Count(self, *_: Any) -> Any:  # gRPC's name
        """Any collection has seven points."""
        return messages.CountResponse(result=messages.CountResult(count=7))


def test_nodes_are_passed_over_by_grpc_too() -> None:
    server = grpc.server(futures.ThreadPoolExecutor(2))
    points_service.add_PointsServicer_to_server(Counts(), server)  # type: ignore[no-untyped-call]  # generated
    grpc_port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        # Over gRPC a node is asked on the port after that of HTTP.
        index = QdrantIndex(
            connect(f"http://127.0.0.1:{free_port()},http://127.0.0.1:{grpc_port - 1}")
        )
        assert [index.count(PETS, ALL) for _ in range(10)] == [7] * 10
        index.close()
    finally:
        server.stop(None)


def test_a_host_that_takes_no_connection_is_given_up_before_the_callers_time_is_over() -> None:
    """As one is whose address no longer exists: nothing is refused."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as silent:
        port = silent.getsockname()[1]
        with socket.create_connection(("127.0.0.1", port)):  # and no more have room
            index = QdrantIndex(connect(f"http://127.0.0.1:{port - 1}"))
            context = contextvars.copy_context()
            context.run(deadline.set_current, deadline.Deadline(15.0))
            with pytest.raises(Unavailable, match="failed to connect"):
                context.run(index.count, PETS, ALL)
            index.close()


def test_an_address_that_is_none_is_rejected() -> None:
    with pytest.raises(ConfigurationError):
        connect("http://a:6333,b")
