"""The snapshot calls of the small Qdrant server: a collection as JSON, in a format of its own."""

import hashlib
import json
from datetime import UTC, datetime
from itertools import count
from typing import TYPE_CHECKING

from fastapi import FastAPI, Response, UploadFile
from fastapi.encoders import jsonable_encoder
from qdrant_client import models

if TYPE_CHECKING:
    from devstack.qdrant_server import Engine


def add_snapshots(app: FastAPI, engine: "Engine") -> None:
    """The snapshot calls, over the collections of `engine`."""
    numbers, kept = count(1), dict[str, bytes]()

    @engine.route(app, "GET", "/collections/{name}/cluster")
    def cluster(name: str) -> models.CollectionClusterInfo:
        engine.client.get_collection(name)
        return models.CollectionClusterInfo(
            peer_id=1, shard_count=1, local_shards=[], remote_shards=[], shard_transfers=[]
        )

    @engine.route(app, "POST", "/collections/{name}/snapshots")
    def create(name: str) -> models.SnapshotDescription:
        data = _write_snapshot(engine, name)
        title = f"{name}-{next(numbers)}.snapshot"
        kept[title] = data
        return models.SnapshotDescription(
            name=title,
            creation_time=datetime.now(UTC).isoformat(),
            size=len(data),
            checksum=hashlib.sha256(data).hexdigest(),
        )

    @app.get("/collections/{name}/snapshots/{title}")
    def download(name: str, title: str) -> Response:  # noqa: ARG001  # part of the address
        return Response(kept[title], media_type="application/octet-stream")

    @engine.route(app, "DELETE", "/collections/{name}/snapshots/{title}")
    def delete(name: str, title: str) -> bool:  # noqa: ARG001  # part of the address
        return kept.pop(title) is not None

    @engine.route(app, "POST", "/collections/{name}/snapshots/upload")
    def upload(name: str, snapshot: UploadFile, checksum: str = "") -> bool:
        data = snapshot.file.read()
        if checksum and checksum != hashlib.sha256(data).hexdigest():
            raise ValueError("Snapshot checksum does not match")
        _read_snapshot(engine, name, data)
        return True


def _write_snapshot(engine: "Engine", collection: str) -> bytes:
    client = engine.client
    records, _ = client.scroll(collection, limit=10_000_000, with_vectors=True)
    body = {
        "vectors": jsonable_encoder(client.get_collection(collection).config.params.vectors),
        "indexed": jsonable_encoder(engine.indexed.get(collection, {})),
        "points": [{"id": r.id, "vector": r.vector, "payload": r.payload} for r in records],
    }
    return json.dumps(body).encode()


def _read_snapshot(engine: "Engine", collection: str, data: bytes) -> None:
    """Replace a collection by what a snapshot holds."""
    body = json.loads(data)
    client = engine.client
    client.delete_collection(collection)
    client.create_collection(collection, models.VectorParams(**body["vectors"]))
    engine.indexed[collection] = {
        name: models.PayloadSchemaType(kind) for name, kind in body["indexed"].items()
    }
    if points := [models.PointStruct(**point) for point in body["points"]]:
        client.upsert(collection, points)
