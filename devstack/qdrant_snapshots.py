"""The snapshot calls of the small Qdrant server: a collection as JSON, in a format of its own."""

import hashlib
import json
from collections.abc import Callable
from datetime import UTC, datetime
from itertools import count
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.encoders import jsonable_encoder
from fastapi.responses import JSONResponse
from qdrant_client import QdrantClient, models

Indexed = dict[str, dict[str, Any]]
"""Field to index, by collection."""
Answer = Callable[[Callable[[], Any]], JSONResponse]


def write_snapshot(client: QdrantClient, indexed: Indexed, collection: str) -> bytes:
    """Everything of a collection."""
    vectors = client.get_collection(collection).config.params.vectors
    records, _ = client.scroll(collection, limit=10_000_000, with_vectors=True)
    body = {
        "vectors": jsonable_encoder(vectors),
        "indexed": jsonable_encoder(indexed.get(collection, {})),
        "points": [{"id": r.id, "vector": r.vector, "payload": r.payload} for r in records],
    }
    return json.dumps(body).encode()


def read_snapshot(client: QdrantClient, indexed: Indexed, collection: str, data: bytes) -> None:
    """Replace a collection by what a snapshot holds."""
    body = json.loads(data)
    client.delete_collection(collection)
    client.create_collection(collection, models.VectorParams(**body["vectors"]))
    indexed[collection] = {
        name: models.PayloadSchemaType(kind) for name, kind in body["indexed"].items()
    }
    points = [models.PointStruct(**point) for point in body["points"]]
    if points:
        client.upsert(collection, points)


def add_snapshots(app: FastAPI, client: QdrantClient, indexed: Indexed, answer: Answer) -> None:
    """The calls, over the server's collections; `answer` takes their turn and wraps results."""
    numbers, kept = count(1), dict[str, bytes]()

    @app.get("/collections/{name}/cluster")
    def cluster(name: str) -> JSONResponse:
        def info() -> models.CollectionClusterInfo:
            client.get_collection(name)
            return models.CollectionClusterInfo(
                peer_id=1, shard_count=1, local_shards=[], remote_shards=[], shard_transfers=[]
            )

        return answer(info)

    @app.post("/collections/{name}/snapshots")
    def create(name: str) -> JSONResponse:
        def make() -> models.SnapshotDescription:
            data = write_snapshot(client, indexed, name)
            title = f"{name}-{next(numbers)}.snapshot"
            kept[title] = data
            return models.SnapshotDescription(
                name=title,
                creation_time=datetime.now(UTC).isoformat(),
                size=len(data),
                checksum=hashlib.sha256(data).hexdigest(),
            )

        return answer(make)

    @app.get("/collections/{name}/snapshots")
    def list_all(name: str) -> JSONResponse:
        return answer(lambda: [{"name": title} for title in kept if title.startswith(name)])

    @app.get("/collections/{name}/snapshots/{title}")
    def download(name: str, title: str) -> Response:  # noqa: ARG001  # part of the address
        return Response(kept[title], media_type="application/octet-stream")

    @app.delete("/collections/{name}/snapshots/{title}")
    def delete(name: str, title: str) -> JSONResponse:  # noqa: ARG001  # part of the address
        return answer(lambda: kept.pop(title) is not None)

    @app.post("/collections/{name}/snapshots/upload")
    async def upload(name: str, request: Request, checksum: str = "") -> JSONResponse:
        async with request.form() as form:
            file = form["snapshot"]
            assert not isinstance(file, str)
            data = await file.read()

        def recover() -> bool:
            if checksum and checksum != hashlib.sha256(data).hexdigest():
                raise ValueError("Snapshot checksum does not fit")
            read_snapshot(client, indexed, name, data)
            return True

        return answer(recover)
