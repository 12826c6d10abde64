"""What a Qdrant server is asked for when a collection is made, read from the wire."""

import json
import threading
from collections.abc import Iterator
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from qdrant_client import QdrantClient

from petsearch.adapters.qdrant.collection import CollectionOptions
from petsearch.adapters.qdrant.index import QdrantIndex, connect
from petsearch.domain import Filters
from tests.contract.records import embedding, point, record

PETS = "pets-model-0"


class RecordingServer(ThreadingHTTPServer):
    """Answers every call with what its path makes the client expect, and keeps the bodies."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.calls: list[tuple[str, str, Any]] = []

    def body_of(self, method: str, path: str) -> Any:
        """The body of the one call to `path`."""
        (body,) = [body for m, p, body in self.calls if (m, p.partition("?")[0]) == (method, path)]
        return body

    def query_of(self, path: str) -> str:
        """What follows the question mark in the one call to `path`."""
        (query,) = [p.partition("?")[2] for _, p, _ in self.calls if p.startswith(f"{path}?")]
        return query


class _Handler(BaseHTTPRequestHandler):
    def _answer(self) -> None:
        length = int(self.headers.get("content-length", 0))
        body = json.loads(self.rfile.read(length)) if length else None
        assert isinstance(self.server, RecordingServer)
        self.server.calls.append((self.command, self.path, body))
        result: object = True
        if self.path.endswith("/exists"):
            result = {"exists": False}
        elif "/points/query" in self.path:
            result = {"points": []}
        elif "/points/batch" in self.path:
            result = [{"operation_id": 1, "status": "completed"}]
        elif self.command == "POST":
            result = []
        elif "/index" in self.path or "/points" in self.path:
            result = {"operation_id": 1, "status": "completed"}
        answer = json.dumps({"time": 0, "status": "ok", "result": result}).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    do_GET = do_PUT = do_POST = _answer  # http.server's names

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def server() -> Iterator[RecordingServer]:
    with RecordingServer() as started:
        thread = threading.Thread(target=started.serve_forever)
        thread.start()
        yield started
        started.shutdown()
        thread.join()


@pytest.fixture
def client(server: RecordingServer) -> Iterator[QdrantClient]:
    opened = QdrantClient(f"http://127.0.0.1:{server.server_port}", check_compatibility=False)
    yield opened
    opened.close()


def test_one_node_is_asked_for_nothing_special(
    server: RecordingServer, client: QdrantClient
) -> None:
    QdrantIndex(client).create_collection(PETS, 8)
    asked = server.body_of("PUT", f"/collections/{PETS}")
    assert asked["vectors"] == {"size": 8, "distance": "Cosine", "on_disk": False}
    assert (asked["shard_number"], asked["replication_factor"]) == (1, 1)
    assert asked["strict_mode_config"]["unindexed_filtering_retrieve"] is False
    assert asked["on_disk_payload"] is True
    assert asked.get("quantization_config") is None


def test_every_field_that_is_filtered_by_is_indexed(
    server: RecordingServer, client: QdrantClient
) -> None:
    QdrantIndex(client).create_collection(PETS, 8)
    indexed = {
        body["field_name"]: body["field_schema"]
        for _, path, body in server.calls
        if path.startswith(f"/collections/{PETS}/index")
    }
    assert indexed["source_count"] == "integer"
    assert indexed["phash_bands"] == indexed["label.breed"] == "keyword"
    assert indexed["created_at"] == "datetime"


def test_a_cluster_keeps_copies_and_writes_to_most_of_them(
    server: RecordingServer, client: QdrantClient
) -> None:
    index = QdrantIndex(client, CollectionOptions(shards=6, replicas=3))
    index.create_collection(PETS, 8)
    asked = server.body_of("PUT", f"/collections/{PETS}")
    assert (asked["shard_number"], asked["replication_factor"]) == (6, 3)
    assert asked["write_consistency_factor"] == 2
    index.insert(PETS, [point(1)])
    index.replace_records(PETS, [record(1)])
    index.get(PETS, [record(1).image_id])
    points = f"/collections/{PETS}/points"
    assert "ordering=medium" in server.query_of(points + "/batch")
    (written,) = [
        path
        for method, path, _ in server.calls
        if (method, path[: len(points) + 1]) == ("PUT", points + "?")
    ]
    assert "ordering=medium" in written
    (read,) = [
        path
        for method, path, _ in server.calls
        if (method, path[: len(points) + 1]) == ("POST", points + "?")
    ]
    assert "consistency=quorum" in read


def test_quantized_vectors_are_ranked_again_by_the_full_ones(
    server: RecordingServer, client: QdrantClient
) -> None:
    index = QdrantIndex(client, CollectionOptions(quantization="int8"))
    index.create_collection(PETS, 8)
    asked = server.body_of("PUT", f"/collections/{PETS}")
    assert asked["quantization_config"]["scalar"] == {"type": "int8", "always_ram": True}
    assert asked["vectors"]["on_disk"] is True
    index.search(PETS, embedding(0.0), limit=3, filters=Filters())
    searched = server.body_of("POST", f"/collections/{PETS}/points/query")
    assert searched["params"]["quantization"] == {"rescore": True, "oversampling": 3.0}


@pytest.mark.parametrize("name", ["HTTP_PROXY", "ALL_PROXY"])
def test_a_server_on_this_machine_is_asked_without_a_proxy(
    server: RecordingServer, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv(name, "http://127.0.0.1:9")
    with closing(connect(f"http://127.0.0.1:{server.server_port}", use_grpc=False)) as client:
        assert not client.collection_exists(PETS)
