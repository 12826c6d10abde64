"""The index on a Qdrant server: a collection per model, and an alias that names the current one."""

from collections.abc import Sequence
from datetime import datetime
from urllib.parse import urlsplit

import numpy as np
from qdrant_client import QdrantClient, models

from petsearch.adapters.qdrant.collection import CollectionOptions, create_collection
from petsearch.adapters.qdrant.conditions import left_alone
from petsearch.adapters.qdrant.errors import translated
from petsearch.adapters.qdrant.filters import filter_of_version, to_filter
from petsearch.adapters.qdrant.payload import (
    VERSION_FIELD,
    from_payload,
    to_payload,
    version_from,
)
from petsearch.adapters.qdrant.time_pages import latest_of, newest_page
from petsearch.domain import Embedding, Filters, Hit, ImageRecord, Point, SortBy
from petsearch.domain.errors import Conflict, NotFound
from petsearch.ports import RecordChange

_ALIAS = "pets"
_GRPC_PORT = 6334
_FACET_VALUES = 10_000
_TIMEOUT_S = 30


def connect(url: str, *, api_key: str | None = None, use_grpc: bool = True) -> QdrantClient:
    """A client of the server at `url` (its HTTP address). Sends nothing yet.

    Args:
        use_grpc: over gRPC, on the port beside that of HTTP; else over HTTP alone, for proxies.
    """
    port = urlsplit(url).port or 6333
    return QdrantClient(
        url=url,
        port=port,
        grpc_port=port + (_GRPC_PORT - 6333),
        prefer_grpc=use_grpc,
        api_key=api_key,
        timeout=_TIMEOUT_S,
        check_compatibility=False,
    )


class QdrantIndex:
    """The `Index` port over a Qdrant client."""

    def __init__(self, client: QdrantClient, options: CollectionOptions | None = None) -> None:
        self._client = client
        self._options = options or CollectionOptions()

    def create_collection(self, collection: str, dim: int) -> None:
        """See `Index.create_collection`."""
        with translated():
            create_collection(self._client, collection, dim, self._options)

    def current(self) -> str | None:
        """See `Index.current`."""
        with translated():
            aliases = self._client.get_aliases().aliases
        return next((a.collection_name for a in aliases if a.alias_name == _ALIAS), None)

    def point_alias_to(self, collection: str) -> None:
        """See `Index.point_alias_to`."""
        if not self._exists(collection):
            raise NotFound(f"There is no collection {collection!r}.")
        change: list[models.AliasOperations] = [
            models.CreateAliasOperation(
                create_alias=models.CreateAlias(collection_name=collection, alias_name=_ALIAS)
            )
        ]
        if self.current() is not None:
            drop = models.DeleteAlias(alias_name=_ALIAS)
            change.insert(0, models.DeleteAliasOperation(delete_alias=drop))
        with translated():
            self._client.update_collection_aliases(change)

    def insert(self, collection: str, points: Sequence[Point]) -> None:
        """See `Index.insert`."""
        if not points:
            return
        rows = [
            models.PointStruct(
                id=p.record.image_id, vector=p.embedding.tolist(), payload=to_payload(p.record)
            )
            for p in points
        ]
        with translated():
            self._client.upsert(
                collection,
                rows,
                wait=True,
                ordering=self._options.ordering,
                update_mode=models.UpdateMode.INSERT_ONLY,
            )

    def replace_records(self, collection: str, records: Sequence[ImageRecord]) -> None:
        """See `Index.replace_records`."""
        if not records:
            return
        operations: list[models.UpdateOperation] = [
            models.OverwritePayloadOperation(
                overwrite_payload=models.SetPayload(
                    payload=to_payload(record), points=[record.image_id]
                )
            )
            for record in records
        ]
        with translated():
            self._client.batch_update_points(
                collection, operations, wait=True, ordering=self._options.ordering
            )

    def replace_unchanged(self, collection: str, changes: Sequence[RecordChange]) -> set[str]:
        """See `Index.replace_unchanged`."""
        if not changes:
            return set()
        operations: list[models.UpdateOperation] = [
            models.OverwritePayloadOperation(
                overwrite_payload=models.SetPayload(
                    payload=to_payload(after), filter=filter_of_version(before)
                )
            )
            for before, after in changes
        ]
        with translated():
            self._client.batch_update_points(
                collection, operations, wait=True, ordering=self._options.ordering
            )
        return left_alone(changes, self.get(collection, [after.image_id for _, after in changes]))

    def get(self, collection: str, image_ids: Sequence[str]) -> dict[str, ImageRecord]:
        """See `Index.get`."""
        with translated():
            found = self._client.retrieve(
                collection,
                list(image_ids),
                with_payload=True,
                consistency=self._options.consistency,
            )
        return {str(r.id): from_payload(str(r.id), r.payload or {}) for r in found}

    def get_embedding(self, collection: str, image_id: str) -> Embedding:
        """See `Index.get_embedding`."""
        with translated():
            found = self._client.retrieve(
                collection, [image_id], with_payload=False, with_vectors=True
            )
        if not found:
            raise NotFound(f"There is no image {image_id}.")
        return np.asarray(found[0].vector, dtype=np.float32)

    def read_points(self, collection: str, image_ids: Sequence[str]) -> list[Point]:
        """See `Index.read_points`."""
        with translated():
            found = self._client.retrieve(
                collection,
                list(image_ids),
                with_payload=True,
                with_vectors=True,
                consistency=self._options.consistency,
            )
        return [
            Point(from_payload(str(r.id), r.payload or {}), np.asarray(r.vector, dtype=np.float32))
            for r in found
        ]

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
        """See `Index.search`."""
        wide = self._options.search_params
        with translated():
            found = self._client.query_points(
                collection,
                query=embedding.tolist(),
                limit=limit,
                query_filter=to_filter(filters),
                search_params=models.SearchParams(exact=True) if exact else wide,
                score_threshold=min_score,
                with_payload=True,
            ).points
        return [Hit(from_payload(str(p.id), p.payload or {}), p.score) for p in found]

    def list_newest(
        self,
        collection: str,
        *,
        limit: int,
        filters: Filters,
        before: str | None = None,
        sort: SortBy = "created_at",
    ) -> tuple[list[ImageRecord], str | None]:
        """See `Index.list_newest`."""

        def latest(wanted: Filters, most: int) -> list[ImageRecord]:
            order = models.OrderBy(
                key=sort,
                direction=models.Direction.DESC,
                start_from=latest_of(wanted, sort),
            )
            with translated():
                found, _ = self._client.scroll(
                    collection, scroll_filter=to_filter(wanted), limit=most, order_by=order
                )
            return [from_payload(str(r.id), r.payload or {}) for r in found]

        def by_id(wanted: Filters, after: str | None, most: int) -> list[ImageRecord]:
            with translated():
                # One more than asked for, because the scroll begins with `after` itself.
                found, _ = self._client.scroll(
                    collection, scroll_filter=to_filter(wanted), offset=after, limit=most + 1
                )
            records = [from_payload(str(r.id), r.payload or {}) for r in found]
            return [record for record in records if record.image_id != after][:most]

        return newest_page(filters, sort, limit=limit, cursor=before, latest=latest, by_id=by_id)

    def list_ids(self, collection: str, *, after: str | None, limit: int) -> list[str]:
        """See `Index.list_ids`."""
        with translated():
            # One more than asked for, because the scroll begins with `after` itself.
            found, _ = self._client.scroll(
                collection,
                offset=after,
                limit=limit + 1,
                with_payload=False,
                consistency=self._options.consistency,
            )
        return [str(r.id) for r in found if str(r.id) != after][:limit]

    def list_versions(
        self, collection: str, *, after: str | None, limit: int
    ) -> list[tuple[str, datetime]]:
        """See `Index.list_versions`."""
        with translated():
            found, _ = self._client.scroll(
                collection,
                offset=after,
                limit=limit + 1,
                with_payload=[VERSION_FIELD],
                consistency=self._options.consistency,
            )
        versions = [(str(r.id), version_from(r.payload or {})) for r in found]
        return [version for version in versions if version[0] != after][:limit]

    def count(self, collection: str, filters: Filters) -> int:
        """See `Index.count`."""
        with translated():
            counted = self._client.count(collection, count_filter=to_filter(filters), exact=True)
        return counted.count

    def facet(self, collection: str, field: str, filters: Filters) -> dict[str, int]:
        """See `Index.facet`."""
        with translated():
            found = self._client.facet(
                collection,
                field,
                facet_filter=to_filter(filters),
                limit=_FACET_VALUES,
                exact=True,
            )
        return {str(hit.value): hit.count for hit in found.hits}

    def delete(self, collection: str, image_ids: Sequence[str]) -> None:
        """See `Index.delete`."""
        with translated():
            self._client.delete(
                collection, list(image_ids), wait=True, ordering=self._options.ordering
            )

    def delete_collection(self, collection: str) -> None:
        """See `Index.delete_collection`."""
        if collection == self.current():
            raise Conflict(f"The collection {collection!r} is the current one.")
        if self._exists(collection):
            with translated():
                self._client.delete_collection(collection)

    def ping(self) -> None:
        """See `Index.ping`."""
        with translated():
            self._client.get_collections()

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def _exists(self, collection: str) -> bool:
        with translated():
            return self._client.collection_exists(collection)
