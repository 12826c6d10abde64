"""A small Qdrant server: the REST calls that the adapters make, over the client's local mode.

`python -m devstack.qdrant_server --port 6333`. It keeps nothing, unless `--path` names a folder.
Unlike the client's local mode it rejects a filter on a field without a payload index, as a server
in strict mode does.
"""

import threading
import warnings
from collections import defaultdict
from collections.abc import Callable
from functools import partial, wraps
from typing import Any, TypeVar

import typer
import uvicorn
from fastapi import FastAPI
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
    UpdateOperations,
)
from starlette.middleware.trustedhost import TrustedHostMiddleware

from devstack.qdrant_snapshots import add_snapshots

Call = TypeVar("Call", bound=Callable[..., Any])

_LOOPBACK = ("127.0.0.1", "localhost")
_DONE = models.UpdateResult(operation_id=0, status=models.UpdateStatus.COMPLETED)


class Engine:
    """Collections of the client's local mode, one call at a time, and which fields are indexed."""

    def __init__(self, path: str | None) -> None:
        # It keeps no payload indexes, and warns about that.
        warnings.filterwarnings("ignore", message="Payload indexes have no effect")
        self.client = QdrantClient(path=path) if path else QdrantClient(":memory:")
        self.indexed: defaultdict[str, dict[str, Any]] = defaultdict(dict)
        self._is_strict = path is None  # which fields are indexed is not kept in a folder
        self._turn = threading.Lock()

    def route(self, app: FastAPI, method: str, path: str) -> Callable[[Call], Call]:
        """Serve a function: what it returns as a server wraps it, what it raises by status."""

        def register(call: Call) -> Call:
            @wraps(call)
            def answer(**arguments: Any) -> JSONResponse:
                with self._turn:
                    return _response(partial(call, **arguments))

            app.add_api_route(path, answer, methods=[method], response_model=None)
            return call

        return register

    def describe(self, collection: str) -> models.CollectionInfo:
        """What a server tells about a collection, its payload indexes included."""
        found = self.client.get_collection(collection)
        schema = {
            field: models.PayloadIndexInfo(data_type=_type_of(params), points=0)
            for field, params in self.indexed[collection].items()
        }
        return found.model_copy(update={"payload_schema": schema})

    def check_filter(self, collection: str, wanted: models.Filter | None) -> None:
        """Reject a condition on a field that has no index."""
        if wanted is None:
            return
        for key in _keys_of(wanted.model_dump(exclude_none=True)):
            message = f"Index required but not found for {key!r}; strict mode is on."
            self.check_indexed(collection, key, message)

    def check_indexed(self, collection: str, key: str, message: str) -> None:
        """Reject a field that has no index, with a message."""
        if self._is_strict and key not in self.indexed[collection]:
            raise ValueError(message)


def _type_of(schema: Any) -> models.PayloadSchemaType:
    """The type of an indexed field, whose parameters may be given instead of it."""
    return models.PayloadSchemaType(getattr(schema, "type", schema).value)


def _response(call: Callable[[], Any]) -> JSONResponse:
    try:
        return JSONResponse({"result": jsonable_encoder(call()), "status": "ok", "time": 0.0})
    except KeyError as error:  # a point that does not exist
        return JSONResponse({"status": {"error": f"No point with id {error}"}}, 404)
    except ValueError as error:
        return JSONResponse({"status": {"error": str(error)}, "time": 0.0}, _status_of(str(error)))


def build_app(path: str | None = None) -> FastAPI:
    """The server with what is in the folder `path`, or with nothing in it."""
    app, engine = FastAPI(title="qdrant", version="1.16.0"), Engine(path)
    app.get("/readyz")(lambda: "all shards are ready")
    _add_collections(app, engine)
    _add_aliases(app, engine)
    _add_writes(app, engine)
    _add_reads(app, engine)
    add_snapshots(app, engine)
    return app


def _add_collections(app: FastAPI, engine: Engine) -> None:
    client = engine.client

    @engine.route(app, "GET", "/collections")
    def list_collections() -> models.CollectionsResponse:
        return client.get_collections()

    @engine.route(app, "GET", "/collections/{name}/exists")
    def exists(name: str) -> dict[str, bool]:
        return {"exists": client.collection_exists(name)}

    @engine.route(app, "GET", "/collections/{name}")
    def describe(name: str) -> models.CollectionInfo:
        return engine.describe(name)

    @engine.route(app, "PUT", "/collections/{name}")
    def create(name: str, body: CreateCollection) -> bool:
        assert body.vectors is not None
        return client.create_collection(name, vectors_config=body.vectors)

    @engine.route(app, "DELETE", "/collections/{name}")
    def delete(name: str) -> bool:
        engine.indexed.pop(name, None)
        return client.delete_collection(name)

    @engine.route(app, "PUT", "/collections/{name}/index")
    def create_index(name: str, body: CreateFieldIndex) -> models.UpdateResult:
        client.get_collection(name)
        engine.indexed[name][body.field_name] = body.field_schema
        return _DONE


def _add_aliases(app: FastAPI, engine: Engine) -> None:
    @engine.route(app, "GET", "/aliases")
    def get_aliases() -> models.CollectionsAliasesResponse:
        return engine.client.get_aliases()

    @engine.route(app, "POST", "/collections/aliases")
    def change(body: ChangeAliasesOperation) -> bool:
        return engine.client.update_collection_aliases(body.actions)


def _add_writes(app: FastAPI, engine: Engine) -> None:
    client = engine.client

    @engine.route(app, "PUT", "/collections/{name}/points")
    def upsert(name: str, body: PointInsertOperations) -> models.UpdateResult:
        points = body.points if isinstance(body, PointsList) else body.batch
        return client.upsert(name, points, update_mode=body.update_mode)

    @engine.route(app, "POST", "/collections/{name}/points/delete")
    def delete(name: str, body: PointsSelector) -> models.UpdateResult:
        return client.delete(name, body)

    @engine.route(app, "POST", "/collections/{name}/points/batch")
    def batch(name: str, body: UpdateOperations) -> list[models.UpdateResult]:
        return client.batch_update_points(name, body.operations)


def _add_reads(app: FastAPI, engine: Engine) -> None:
    client = engine.client

    @engine.route(app, "POST", "/collections/{name}/points")
    def retrieve(name: str, body: PointRequest) -> list[models.Record]:
        with_payload = True if body.with_payload is None else body.with_payload
        return client.retrieve(name, body.ids, with_payload, body.with_vector or False)

    @engine.route(app, "POST", "/collections/{name}/points/query")
    def query(name: str, body: QueryRequest) -> models.QueryResponse:
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

    @engine.route(app, "POST", "/collections/{name}/points/scroll")
    def scroll(name: str, body: ScrollRequest) -> models.ScrollResult:
        engine.check_filter(name, body.filter)
        order = body.order_by
        key = order.key if isinstance(order, models.OrderBy) else order
        if key is not None:
            engine.check_indexed(name, key, f"No range index for `order_by` key: {key!r}.")
        records, after = client.scroll(
            name,
            scroll_filter=body.filter,
            limit=10 if body.limit is None else body.limit,
            order_by=order,
            offset=body.offset,
            with_payload=True if body.with_payload is None else body.with_payload,
            with_vectors=body.with_vector or False,
        )
        return models.ScrollResult(points=records, next_page_offset=after)

    @engine.route(app, "POST", "/collections/{name}/points/count")
    def count(name: str, body: CountRequest) -> models.CountResult:
        engine.check_filter(name, body.filter)
        return client.count(name, count_filter=body.filter)

    @engine.route(app, "POST", "/collections/{name}/facet")
    def facet(name: str, body: FacetRequest) -> models.FacetResponse:
        engine.check_filter(name, body.filter)
        return client.facet(name, body.key, facet_filter=body.filter, limit=body.limit or 10)


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


def main(port: int = 6333, host: str = "127.0.0.1", path: str | None = None) -> None:
    """Serve until a signal."""
    app = build_app(path)
    if host in _LOOPBACK:  # no page that a browser here shows may reach it by DNS rebinding
        app.add_middleware(TrustedHostMiddleware, allowed_hosts=_LOOPBACK)
    uvicorn.run(app, host=host, port=port, log_level="warning", access_log=False)


if __name__ == "__main__":
    typer.run(main)
