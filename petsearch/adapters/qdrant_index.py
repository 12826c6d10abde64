"""The index on a Qdrant server: a collection per model, and an alias that names the current one."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from urllib.parse import urlsplit

import grpc
import numpy as np
from qdrant_client import QdrantClient, models
from qdrant_client.common.client_exceptions import ResourceExhaustedResponse
from qdrant_client.http.exceptions import ResponseHandlingException, UnexpectedResponse

from petsearch.adapters.newest_cursor import read_cursor, write_cursor
from petsearch.adapters.qdrant_filters import to_filter
from petsearch.adapters.qdrant_payload import (
    DATETIME_FIELDS,
    KEYWORD_FIELDS,
    LOCATION_FIELD,
    from_payload,
    to_payload,
)
from petsearch.errors import InvalidInput, NotFound, PetsearchError, StorageFull, Unavailable
from petsearch.model import Embedding, Filters, Hit, ImageRecord, Point, SortBy

_ALIAS = "pets"
_GRPC_PORT = 6334
_FACET_VALUES = 10_000
_TIMEOUT_S = 30


def connect(url: str, *, api_key: str | None = None) -> QdrantClient:
    """A client of the server at `url` (its HTTP address); calls go over gRPC. Sends nothing yet."""
    port = urlsplit(url).port or 6333
    return QdrantClient(
        url=url,
        port=port,
        grpc_port=port + (_GRPC_PORT - 6333),
        prefer_grpc=True,
        api_key=api_key,
        timeout=_TIMEOUT_S,
        check_compatibility=False,
    )


class QdrantIndex:
    """The `Index` port over a Qdrant client."""

    def __init__(self, client: QdrantClient) -> None:
        self._client = client

    def create_collection(self, collection: str, dim: int) -> None:
        """See `Index.create_collection`."""
        with _translated():
            if not self._client.collection_exists(collection):
                self._create(collection, dim)
            # Also where the collection exists: whoever made it may have been cut off here.
            for name, kind in _payload_indexes().items():
                self._client.create_payload_index(collection, name, field_schema=kind, wait=True)

    def _create(self, collection: str, dim: int) -> None:
        try:
            self._client.create_collection(
                collection,
                vectors_config=models.VectorParams(size=dim, distance=models.Distance.COSINE),
                # A filter without a payload index would read every point.
                strict_mode_config=models.StrictModeConfig(
                    enabled=True, unindexed_filtering_retrieve=False
                ),
            )
        except (UnexpectedResponse, grpc.RpcError):
            if not self._client.collection_exists(collection):
                raise  # otherwise another worker was faster

    def current(self) -> str | None:
        """See `Index.current`."""
        with _translated():
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
        with _translated():
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
        with _translated():
            self._client.upsert(
                collection, rows, wait=True, update_mode=models.UpdateMode.INSERT_ONLY
            )

    def replace_record(self, collection: str, record: ImageRecord) -> None:
        """See `Index.replace_record`."""
        with _translated():
            self._client.overwrite_payload(
                collection, to_payload(record), points=[record.image_id], wait=True
            )

    def get(self, collection: str, image_ids: Sequence[str]) -> dict[str, ImageRecord]:
        """See `Index.get`."""
        with _translated():
            found = self._client.retrieve(collection, list(image_ids), with_payload=True)
        return {str(r.id): from_payload(str(r.id), r.payload or {}) for r in found}

    def get_embedding(self, collection: str, image_id: str) -> Embedding:
        """See `Index.get_embedding`."""
        with _translated():
            found = self._client.retrieve(
                collection, [image_id], with_payload=False, with_vectors=True
            )
        if not found:
            raise NotFound(f"There is no image {image_id}.")
        return np.asarray(found[0].vector, dtype=np.float32)

    def search(
        self,
        collection: str,
        embedding: Embedding,
        *,
        limit: int,
        filters: Filters,
        min_score: float | None = None,
    ) -> list[Hit]:
        """See `Index.search`."""
        with _translated():
            found = self._client.query_points(
                collection,
                query=embedding.tolist(),
                limit=limit,
                query_filter=to_filter(filters),
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
        start, seen = read_cursor(before)
        with _translated():
            found, _ = self._client.scroll(
                collection,
                scroll_filter=to_filter(filters, also_exclude=seen),
                limit=limit,
                order_by=models.OrderBy(
                    key=sort,
                    direction=models.Direction.DESC,
                    start_from=start,
                ),
            )
        records = [from_payload(str(r.id), r.payload or {}) for r in found]
        return records, write_cursor(records, start, seen, sort) if len(records) == limit else None

    def count(self, collection: str, filters: Filters) -> int:
        """See `Index.count`."""
        with _translated():
            counted = self._client.count(collection, count_filter=to_filter(filters), exact=True)
        return counted.count

    def facet(self, collection: str, field: str, filters: Filters) -> dict[str, int]:
        """See `Index.facet`."""
        with _translated():
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
        with _translated():
            self._client.delete(collection, list(image_ids), wait=True)

    def ping(self) -> None:
        """See `Index.ping`."""
        with _translated():
            self._client.get_collections()

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def _exists(self, collection: str) -> bool:
        with _translated():
            return self._client.collection_exists(collection)


def _payload_indexes() -> dict[str, models.PayloadSchemaType]:
    fields = dict.fromkeys(KEYWORD_FIELDS, models.PayloadSchemaType.KEYWORD)
    fields[LOCATION_FIELD] = models.PayloadSchemaType.GEO
    return fields | dict.fromkeys(DATETIME_FIELDS, models.PayloadSchemaType.DATETIME)


@contextmanager
def _translated() -> Iterator[None]:
    """The client's exceptions differ by transport; say which of ours they are."""
    try:
        yield
    except PetsearchError:
        raise
    except UnexpectedResponse as error:
        raise _of_status(error.status_code or 500, str(error)) from error
    except grpc.RpcError as error:
        raise _of_grpc(error) from error
    except ResourceExhaustedResponse as error:
        raise Unavailable(
            "The index (Qdrant) is overloaded.", retry_after_s=error.retry_after_s
        ) from error
    except ResponseHandlingException as error:
        raise Unavailable(f"The index (Qdrant) does not answer: {error}") from error
    except ValueError as error:  # the client's local mode, for a collection that is absent
        if "not found" in str(error):
            raise NotFound(str(error)) from error
        raise


def _of_status(status: int, message: str) -> PetsearchError:
    if status == 404:
        return NotFound(f"The index has no such thing: {message}")
    if status == 507 or "no space left" in message.lower():
        return StorageFull("The disk of the index (Qdrant) is full; free some space.")
    if status in (401, 403):
        # Waited for like a server that is away: the work is kept until the key is put right.
        return Unavailable("The index (Qdrant) refuses our key; check PETSEARCH_QDRANT_API_KEY.")
    if status in (408, 429) or status >= 500:
        return Unavailable(f"The index (Qdrant) failed: {message}")
    return InvalidInput(f"The index (Qdrant) refused a request: {message}")


_STATUS_OF_GRPC = {
    grpc.StatusCode.NOT_FOUND: 404,
    grpc.StatusCode.INVALID_ARGUMENT: 422,
    grpc.StatusCode.ALREADY_EXISTS: 409,
    grpc.StatusCode.UNAUTHENTICATED: 401,
    grpc.StatusCode.PERMISSION_DENIED: 403,
}


def _of_grpc(error: grpc.RpcError) -> PetsearchError:
    # What is raised is also a grpc.Call, which has a code and details.
    code = error.code() if isinstance(error, grpc.Call) else grpc.StatusCode.UNKNOWN
    details = (error.details() if isinstance(error, grpc.Call) else None) or str(error)
    return _of_status(_STATUS_OF_GRPC.get(code, 503), details)
