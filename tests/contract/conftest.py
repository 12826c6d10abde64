"""The index over each engine that is at hand."""

import os
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest
from qdrant_client import QdrantClient

from devstack import parts
from devstack.addresses import free_port
from petsearch.adapters.qdrant.edge_index import QdrantEdgeIndex
from petsearch.adapters.qdrant.index import QdrantIndex, connect
from petsearch.ports.raw_index import RawIndex
from tests.contract.real_servers import where_set
from tests.contract.records import DIM, PETS
from tests.processes import Processes


@pytest.fixture(scope="module")
def rest_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Our small Qdrant server as a process of its own."""
    port = free_port()
    with Processes(tmp_path_factory.mktemp("qdrant")) as processes:
        processes.add_part(parts.qdrant_server(port)).wait_until_up()
        yield f"http://127.0.0.1:{port}"


@pytest.fixture(
    params=[
        "edge",
        "client's local mode",
        "qdrant rest",
        *where_set("PETSEARCH_TEST_QDRANT_URL", "server"),
    ]
)
def index(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[RawIndex]:
    if request.param == "qdrant rest":
        opened: RawIndex = _emptied(request.getfixturevalue("rest_url"), use_grpc=False)
    else:
        opened = _open(request.param, tmp_path)
    opened.create_collection(PETS, DIM)
    opened.point_alias_to(PETS)
    yield opened
    opened.close()


def _open(kind: str, folder: Path) -> RawIndex:
    if kind == "edge":
        return QdrantEdgeIndex(folder)
    if kind == "client's local mode":
        # It keeps no payload indexes, and says so.
        warnings.filterwarnings("ignore", message="Payload indexes have no effect")
        return QdrantIndex(QdrantClient(":memory:"))
    return _emptied(os.environ["PETSEARCH_TEST_QDRANT_URL"], use_grpc=True)


def _emptied(url: str, *, use_grpc: bool) -> RawIndex:
    client = connect(url, use_grpc=use_grpc)
    for found in client.get_collections().collections:
        client.delete_collection(found.name)
    return QdrantIndex(client)
