"""The index on a Qdrant server: a collection per model, and an alias that names the current one."""

import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import cast
from urllib.parse import urlsplit

import httpx
from qdrant_client import QdrantClient, models

from petsearch.adapters.qdrant import time_limits
from petsearch.adapters.qdrant.base_index import ALL, FACET_VALUES, BaseIndex, Row, record_of
from petsearch.adapters.qdrant.collection import CollectionOptions, add_indexes, create_collection
from petsearch.adapters.qdrant.conditions import Conditions
from petsearch.adapters.qdrant.errors import qdrant_errors
from petsearch.adapters.qdrant.filters import FilterMaker
from petsearch.adapters.qdrant.nodes import Nodes
from petsearch.adapters.qdrant.payload import PAYLOAD_VERSION_FIELD, WORDS, to_payload
from petsearch.adapters.qdrant.time_pages import latest_of
from petsearch.domain import Embedding, Filters, Hit, ImageRecord, JsonDict, Point, SortBy
from petsearch.domain.addresses import is_loopback
from petsearch.domain.errors import NotFound, Unavailable
from petsearch.failover import split_addresses

_FILTERS = FilterMaker[models.Filter](
    models,
    absent=lambda field: models.IsEmptyCondition(is_empty=models.PayloadField(key=field)),
    has_id=lambda image_ids: models.HasIdCondition(has_id=[*image_ids]),
    numbers=models.Range,
    times=models.DatetimeRange,
)
_ALIAS = "pets"
_GRPC_PORT = 6334
_TIMEOUT_S = 30
_CONNECT_S = 1.0
_GRPC_OPTIONS = {
    "grpc.min_reconnect_backoff_ms": int(1000 * _CONNECT_S),  # which is also how long it connects
    "grpc.max_reconnect_backoff_ms": 5000,  # of the two minutes that it waits otherwise
}
"""Where there is another node to go to."""
_AGREE_S = (0.05, 0.2, 0.5, 1.0)
"""Pauses in which replicas come to agree on a record that is being written."""
_RECENT_S = 1.0
"""Less than the time for which a collection is kept after another became current."""


def connect(url: str, *, api_key: str | None = None, use_grpc: bool = True) -> QdrantClient:
    """A client of the server at `url` (its HTTP address). Sends nothing yet.

    Args:
        url: or the nodes of a cluster, as `http://a:6333,http://b:6333`.
        use_grpc: over gRPC, on the port beside that of HTTP; else over HTTP alone, for proxies.

    Raises:
        ConfigurationError: `url` is no address.
    """
    addresses = split_addresses(url)
    hooks = [_connect_soon] if len(addresses) > 1 else []
    clients = [
        _connect(address, api_key=api_key, use_grpc=use_grpc, hooks=hooks) for address in addresses
    ]
    return clients[0] if len(clients) == 1 else cast(QdrantClient, Nodes(clients))


def _connect(
    url: str,
    *,
    api_key: str | None,
    use_grpc: bool,
    hooks: Sequence[Callable[[httpx.Request], None]],
) -> QdrantClient:
    parts = urlsplit(url)
    port = parts.port or 6333
    uses_proxy = not is_loopback(parts.hostname or "")  # if the environment names one
    time_limits.install()
    # Within a network of containers as meant; and it would be in the way of every command's output.
    warnings.filterwarnings("ignore", "Api key is used with an insecure connection")
    return QdrantClient(
        url=url,
        port=port,
        grpc_port=port + (_GRPC_PORT - 6333),
        prefer_grpc=use_grpc,
        api_key=api_key,
        grpc_options={**_GRPC_OPTIONS, "grpc.enable_http_proxy": int(uses_proxy)},
        timeout=_TIMEOUT_S,
        check_compatibility=False,
        trust_env=uses_proxy,
        verify=httpx.create_ssl_context(),  # trusts what SSL_CERT_FILE names, in any case
        event_hooks={"request": [*hooks, time_limits.limit_request]},
    )


def _connect_soon(request: httpx.Request) -> None:
    request.extensions["timeout"] = {**request.extensions["timeout"], "connect": _CONNECT_S}


class QdrantIndex(BaseIndex):
    """The index over a Qdrant client; `clock` returns seconds, monotonic."""

    def __init__(
        self,
        client: QdrantClient,
        options: CollectionOptions | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(clock)
        self._client = client
        self._options = options or CollectionOptions()
        self._clock = clock
        self._seen: tuple[str | None, float] = (None, 0.0)
        """What the alias pointed to, and when it was asked for."""
        self._has_indexes_of_words: set[str] = set()

    @qdrant_errors()
    def create_collection(self, collection: str, dim: int) -> None:
        create_collection(self._client, collection, dim, self._options)

    @qdrant_errors()
    def current(self) -> str | None:
        asked_at = self._clock()
        aliases = self._client.get_aliases().aliases
        found = next((a.collection_name for a in aliases if a.alias_name == _ALIAS), None)
        self._seen = (found, asked_at)
        return found

    def recent(self) -> str | None:
        collection, asked_at = self._seen
        is_recent = collection is not None and self._clock() - asked_at <= _RECENT_S
        return collection if is_recent else self.current()

    @qdrant_errors()
    def point_alias_to(self, collection: str) -> None:
        if not self._client.collection_exists(collection):
            raise NotFound(f"There is no collection {collection!r}.")
        change: list[models.AliasOperations] = [
            models.CreateAliasOperation(
                create_alias=models.CreateAlias(collection_name=collection, alias_name=_ALIAS)
            )
        ]
        if self.current() is not None:
            drop = models.DeleteAlias(alias_name=_ALIAS)
            change.insert(0, models.DeleteAliasOperation(delete_alias=drop))
        self._client.update_collection_aliases(change)
        self._seen = (collection, self._clock())

    @qdrant_errors()
    def search(
        self,
        collection: str,
        embedding: Embedding,
        *,
        limit: int,
        filters: Filters,
        min_score: float | None = None,
        exact: bool = False,
    ) -> list[Hit]:
        found = self._client.query_points(
            collection,
            query=embedding.tolist(),
            limit=limit,
            query_filter=_FILTERS.filter_of(self._conditions(collection, filters)),
            search_params=models.SearchParams(exact=True) if exact else self._options.search_params,
            score_threshold=min_score,
            with_payload=True,
        )
        return [Hit(record_of(row), row.score) for row in found.points]

    @qdrant_errors()
    def count(self, collection: str, filters: Filters) -> int:
        wanted = _FILTERS.filter_of(self._conditions(collection, filters))
        return self._client.count(collection, count_filter=wanted, exact=True).count

    @qdrant_errors()
    def _facet(self, collection: str, field: str, wanted: Conditions) -> dict[str, int]:
        found = self._client.facet(
            collection,
            field,
            facet_filter=_FILTERS.filter_of(wanted),
            limit=FACET_VALUES,
            exact=True,
        )
        # A server also returns values that no point has any more.
        return {str(hit.value): hit.count for hit in found.hits if hit.count}

    @qdrant_errors()
    def replace_embeddings(self, collection: str, embeddings: Mapping[str, Embedding]) -> None:
        rows = [models.PointVectors(id=i, vector=found.tolist()) for i, found in embeddings.items()]
        operation = models.UpdateVectorsOperation(update_vectors=models.UpdateVectors(points=rows))
        self._client.batch_update_points(
            collection, [operation], wait=True, ordering=self._options.ordering
        )

    @qdrant_errors()
    def delete(self, collection: str, image_ids: Sequence[str]) -> None:
        self._client.delete(collection, list(image_ids), wait=True, ordering=self._options.ordering)

    @qdrant_errors()
    def ping(self) -> None:
        self._client.get_collections()

    def close(self) -> None:
        self._client.close()

    @qdrant_errors()
    def _insert(self, collection: str, points: Sequence[Point]) -> None:
        rows = [
            models.PointStruct(
                id=p.record.image_id, vector=p.embedding.tolist(), payload=to_payload(p.record)
            )
            for p in points
        ]
        self._client.upsert(
            collection,
            rows,
            wait=True,
            ordering=self._options.ordering,
            update_mode=models.UpdateMode.INSERT_ONLY,
        )

    @qdrant_errors()
    def _overwrite(
        self, collection: str, changes: Sequence[tuple[ImageRecord | None, ImageRecord]]
    ) -> None:
        operations: list[models.UpdateOperation] = [
            models.OverwritePayloadOperation(
                overwrite_payload=models.SetPayload(
                    payload=to_payload(after),
                    points=[after.image_id] if before is None else None,
                    filter=None if before is None else _FILTERS.filter_of_version(before),
                )
            )
            for before, after in changes
        ]
        self._client.batch_update_points(
            collection, operations, wait=True, ordering=self._options.ordering
        )

    @qdrant_errors()
    def _add_fields(self, collection: str, changes: Sequence[tuple[ImageRecord, JsonDict]]) -> None:
        operations: list[models.UpdateOperation] = [
            models.SetPayloadOperation(
                set_payload=models.SetPayload(
                    payload=fields, filter=_FILTERS.filter_of_version(record)
                )
            )
            for record, fields in changes
        ]
        self._client.batch_update_points(
            collection, operations, wait=True, ordering=self._options.ordering
        )

    @qdrant_errors()
    def _retrieve(
        self, collection: str, image_ids: list[str], *, payload: bool, vectors: bool
    ) -> Sequence[Row]:
        def read() -> list[models.Record]:
            return self._client.retrieve(
                collection,
                image_ids,
                with_payload=payload,
                with_vectors=vectors,
                # Records decide what is written; an embedding never changes.
                consistency=self._options.consistency if payload else None,
            )

        if not payload or self._options.consistency is None:
            return read()
        for pause_s in _AGREE_S:
            rows = read()
            if not self._is_any_there(collection, set(image_ids) - {str(row.id) for row in rows}):
                return rows
            time.sleep(pause_s)
        raise Unavailable("The replicas of the index (Qdrant) do not agree yet.")

    def _is_any_there(self, collection: str, image_ids: set[str]) -> bool:
        """Whether a replica has a point of them: one on which the others differ is left out."""
        return bool(image_ids) and bool(
            self._client.retrieve(collection, list(image_ids), with_payload=False)
        )

    @qdrant_errors()
    def _scroll(
        self,
        collection: str,
        limit: int,
        *,
        filters: Filters = ALL,
        newest_by: SortBy | None = None,
        after: str | None = None,
        payload: bool | list[str] = True,
    ) -> Sequence[Row]:
        rows, _ = self._client.scroll(
            collection,
            scroll_filter=_FILTERS.filter_of(self._conditions(collection, filters)),
            limit=limit,
            order_by=_order_by(newest_by, filters) if newest_by else None,
            offset=after,
            with_payload=payload,
            # Whole records are shown; ids and versions decide what is copied or deleted.
            consistency=None if payload is True else self._options.consistency,
        )
        return rows

    @qdrant_errors()
    def _add_indexes_of_words(self, collection: str) -> None:
        # Workers create all indexes when they start, but this process may have started before.
        if collection not in self._has_indexes_of_words:
            there = self._client.get_collection(collection).payload_schema
            fields = [PAYLOAD_VERSION_FIELD, *(words.folded for words in WORDS)]
            # Where none is missing, searches need no more than to read.
            add_indexes(self._client, collection, [name for name in fields if name not in there])
            self._has_indexes_of_words.add(collection)

    @qdrant_errors()
    def _drop(self, collection: str) -> None:
        if self._client.collection_exists(collection):
            self._client.delete_collection(collection)


def _order_by(sort: SortBy, filters: Filters) -> models.OrderBy:
    return models.OrderBy(
        key=sort, direction=models.Direction.DESC, start_from=latest_of(filters, sort)
    )
