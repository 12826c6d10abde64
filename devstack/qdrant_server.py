"""A small Qdrant server: the REST calls that our adapters make, over the client's memory.

`python -m devstack.qdrant_server --port 6333`. It lives as long as its process and keeps nothing.
Unlike the client's local mode it refuses a filter on a field without a payload index, as a server
in strict mode does.
"""

import argparse
import threading
import warnings
from collections import defaultdict
from collections.abc import Callable
from typing import Any

import uvicorn
from fastapi import FastAPI, Request
from fastapi.encoders import jsonable_encoder
from fastapi.responses import JSONResponse
from qdrant_client import QdrantClient, models
from qdrant_client.http.models import (
    ChangeAliasesOperation,
    CountRequest,
    CreateCollection,
    CreateFieldIndex,
    FacetRequest,
    PointInsertOperations,
    PointRequest,
    PointsList,
    PointsSelector,
    QueryRequest,
    ScrollRequest,
    SetPayload,
    UpdateCollection,
    UpdateOperations,
)

from devstack.qdrant_snapshots import add_snapshots

_DONE = models.UpdateResult(operation_id=0, status=models.UpdateStatus.COMPLETED)


class _Engine:
    """Collections in memory, one call at a time, and which of their fields are indexed."""

    def __init__(self) -> None:
        # It keeps no payload indexes, and says so.
        warnings.filterwarnings("ignore", message="Payload indexes have no effect")
        self.client = QdrantClient(":memory:")
        self.indexed: defaultdict[str, dict[str, Any]] = defaultdict(dict)
        self._turn = threading.Lock()

    def answer(self, call: Callable[[], Any]) -> JSONResponse:
        """The answer of `call` as the server wraps it; its complaints by status."""
        with self._turn:
            try:
                result = call()
            except KeyError as error:  # a point that is not there
                return JSONResponse({"status": {"error": f"No point with id {error}"}}, 404)
            except ValueError as error:
                status = _status_of(str(error))
                return JSONResponse({"status": {"error": str(error)}, "time": 0.0}, status)
            return JSONResponse({"result": jsonable_encoder(result), "status": "ok", "time": 0.0})

    def check_filter(self, collection: str, wanted: models.Filter | None) -> None:
        """Refuse a condition on a field that has no index."""
        if wanted is None:
            return
        for key in _keys_of(wanted.model_dump(exclude_none=True)):
            if key not in self.indexed[collection]:
                raise ValueError(f"Index required but not found for {key!r}; strict mode is on.")


def build_app() -> FastAPI:
    """The server with nothing in it."""
    app, engine = FastAPI(title="qdrant", version="1.16.0"), _Engine()
    app.add_exception_handler(Exception, _unexpected)
    app.get("/readyz")(lambda: "all shards are ready")
    _add_collections(app, engine)
    _add_aliases(app, engine)
    _add_writes(app, engine)
    _add_reads(app, engine)
    add_snapshots(app, engine.client, engine.indexed, engine.answer)
    return app


def _add_collections(app: FastAPI, engine: _Engine) -> None:
    client = engine.client

    @app.get("/collections")
    def list_collections() -> JSONResponse:
        return engine.answer(client.get_collections)

    @app.get("/collections/{name}")
    def get_collection(name: str) -> JSONResponse:
        return engine.answer(lambda: _info(engine, name))

    @app.get("/collections/{name}/exists")
    def exists(name: str) -> JSONResponse:
        return engine.answer(lambda: {"exists": client.collection_exists(name)})

    @app.put("/collections/{name}")
    def create(name: str, body: CreateCollection) -> JSONResponse:
        assert body.vectors is not None
        vectors = body.vectors
        return engine.answer(lambda: client.create_collection(name, vectors_config=vectors))

    @app.patch("/collections/{name}")
    def update(name: str, body: UpdateCollection) -> JSONResponse:  # noqa: ARG001  # memory has no options
        return engine.answer(lambda: bool(client.get_collection(name)))

    @app.delete("/collections/{name}")
    def delete(name: str) -> JSONResponse:
        engine.indexed.pop(name, None)
        return engine.answer(lambda: client.delete_collection(name))

    @app.put("/collections/{name}/index")
    def create_index(name: str, body: CreateFieldIndex) -> JSONResponse:
        def create() -> models.UpdateResult:
            client.get_collection(name)
            engine.indexed[name][body.field_name] = body.field_schema
            return _DONE

        return engine.answer(create)


def _add_aliases(app: FastAPI, engine: _Engine) -> None:
    @app.get("/aliases")
    def get_aliases() -> JSONResponse:
        return engine.answer(engine.client.get_aliases)

    @app.post("/collections/aliases")
    def change(body: ChangeAliasesOperation) -> JSONResponse:
        return engine.answer(lambda: engine.client.update_collection_aliases(body.actions))


def _add_writes(app: FastAPI, engine: _Engine) -> None:
    client = engine.client

    @app.put("/collections/{name}/points")
    def upsert(name: str, body: PointInsertOperations) -> JSONResponse:
        points = body.points if isinstance(body, PointsList) else body.batch
        return engine.answer(lambda: client.upsert(name, points, update_mode=body.update_mode))

    @app.post("/collections/{name}/points/delete")
    def delete(name: str, body: PointsSelector) -> JSONResponse:
        return engine.answer(lambda: client.delete(name, body))

    @app.put("/collections/{name}/points/payload")
    def overwrite(name: str, body: SetPayload) -> JSONResponse:
        wanted = body.points or body.filter or []
        return engine.answer(lambda: client.overwrite_payload(name, body.payload, wanted))

    @app.post("/collections/{name}/points/payload")
    def set_payload(name: str, body: SetPayload) -> JSONResponse:
        wanted = body.points or body.filter or []
        return engine.answer(lambda: client.set_payload(name, body.payload, wanted, key=body.key))

    @app.post("/collections/{name}/points/batch")
    def batch(name: str, body: UpdateOperations) -> JSONResponse:
        return engine.answer(lambda: client.batch_update_points(name, body.operations))


def _add_reads(app: FastAPI, engine: _Engine) -> None:
    client = engine.client

    @app.post("/collections/{name}/points")
    def retrieve(name: str, body: PointRequest) -> JSONResponse:
        with_payload = True if body.with_payload is None else body.with_payload
        return engine.answer(
            lambda: client.retrieve(name, body.ids, with_payload, body.with_vector or False)
        )

    @app.post("/collections/{name}/points/query")
    def query(name: str, body: QueryRequest) -> JSONResponse:
        def search() -> models.QueryResponse:
            engine.check_filter(name, body.filter)
            return client.query_points(
                name,
                query=body.query,
                query_filter=body.filter,
                limit=10 if body.limit is None else body.limit,
                score_threshold=body.score_threshold,
                with_payload=body.with_payload or False,
                with_vectors=body.with_vector or False,
            )

        return engine.answer(search)

    @app.post("/collections/{name}/points/scroll")
    def scroll(name: str, body: ScrollRequest) -> JSONResponse:
        return engine.answer(lambda: _scroll(engine, name, body))

    @app.post("/collections/{name}/points/count")
    def count(name: str, body: CountRequest) -> JSONResponse:
        def number() -> models.CountResult:
            engine.check_filter(name, body.filter)
            return client.count(name, count_filter=body.filter)

        return engine.answer(number)

    @app.post("/collections/{name}/facet")
    def facet(name: str, body: FacetRequest) -> JSONResponse:
        def hits() -> models.FacetResponse:
            engine.check_filter(name, body.filter)
            return client.facet(name, body.key, facet_filter=body.filter, limit=body.limit or 10)

        return engine.answer(hits)


def _info(engine: _Engine, name: str) -> models.CollectionInfo:
    info = engine.client.get_collection(name)
    schema = {
        field: models.PayloadIndexInfo(data_type=kind, points=info.points_count or 0)
        for field, kind in engine.indexed[name].items()
        if isinstance(kind, models.PayloadSchemaType)
    }
    return info.model_copy(update={"payload_schema": schema})


def _scroll(engine: _Engine, name: str, body: ScrollRequest) -> models.ScrollResult:
    engine.check_filter(name, body.filter)
    order = body.order_by
    key = order.key if isinstance(order, models.OrderBy) else order
    if key is not None and key not in engine.indexed[name]:
        raise ValueError(f"No range index for `order_by` key: {key!r}.")
    records, after = engine.client.scroll(
        name,
        scroll_filter=body.filter,
        limit=10 if body.limit is None else body.limit,
        order_by=order,
        offset=body.offset,
        with_payload=True if body.with_payload is None else body.with_payload,
        with_vectors=body.with_vector or False,
    )
    return models.ScrollResult(points=records, next_page_offset=after)


def _keys_of(condition: Any) -> set[str]:
    """Every field that a filter, as plain dicts and lists, has a condition on."""
    if isinstance(condition, list):
        return {key for entry in condition for key in _keys_of(entry)}
    if not isinstance(condition, dict):
        return set()
    own = {condition["key"]} if isinstance(condition.get("key"), str) else set()
    return own | {key for value in condition.values() for key in _keys_of(value)}


def _status_of(message: str) -> int:
    if "not found" in message and message.startswith("Collection"):
        return 404
    return 409 if "already exists" in message else 400


def _unexpected(_: Request, error: Exception) -> JSONResponse:
    return JSONResponse({"status": {"error": repr(error)}, "time": 0.0}, 500)


def main() -> None:
    """Serve until a signal."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=6333)
    port = parser.parse_args().port
    uvicorn.run(build_app(), host="127.0.0.1", port=port, log_level="warning", access_log=False)


if __name__ == "__main__":
    main()
