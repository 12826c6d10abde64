"""How a collection is made on a Qdrant server: shards, replicas, quantization, indexes."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import grpc
from qdrant_client import QdrantClient, models
from qdrant_client.http.exceptions import UnexpectedResponse

from petsearch.adapters.qdrant.payload import INDEXED_FIELDS

_OVERSAMPLING = 3.0
_EF = 1024
"""Texts lie away from every photo: at 100,000 points Qdrant's default missed 5 to 6 of 100 of their
neighbours, and 512 missed 2 (`make bench-ann`)."""


@dataclass(frozen=True)
class CollectionOptions:
    """How collections are spread and kept; it counts when a collection is made."""

    shards: int = 1
    replicas: int = 1
    """Copies of every shard, on different nodes."""
    quantization: Literal["none", "int8"] = "none"
    """`int8` keeps a byte per dimension in memory and the full vectors on disk."""

    @property
    def is_replicated(self) -> bool:
        """Whether a write may reach some copies before others."""
        return self.replicas > 1

    @property
    def write_consistency(self) -> int:
        """How many replicas must have a write before it is acknowledged: most of them."""
        return self.replicas // 2 + 1

    @property
    def ordering(self) -> models.WriteOrdering | None:
        """Writes to one point take turns: of two inserts the same one is first everywhere.

        Qdrant's `strong` has one node order them, always the same: without it nothing is written.
        """
        return models.WriteOrdering.MEDIUM if self.is_replicated else None

    @property
    def consistency(self) -> models.ReadConsistencyType | None:
        """Reads that decide something ask most replicas, and see what all of those have.

        Qdrant's `majority` asks every replica, and fails while a single one is away.
        """
        return models.ReadConsistencyType.QUORUM if self.is_replicated else None

    @property
    def search_params(self) -> models.SearchParams:
        """A wide search; with int8, three times as many by bytes, then those by full vectors."""
        if self.quantization == "none":
            return models.SearchParams(hnsw_ef=_EF)
        rescored = models.QuantizationSearchParams(rescore=True, oversampling=_OVERSAMPLING)
        return models.SearchParams(hnsw_ef=_EF, quantization=rescored)


def create_collection(
    client: QdrantClient, collection: str, dim: int, options: CollectionOptions
) -> None:
    """Create a collection with its payload indexes; add those that an older one lacks."""
    if not client.collection_exists(collection):
        _create(client, collection, dim, options)
    # Also where the collection exists: its creation may have been interrupted here.
    add_indexes(client, collection, INDEXED_FIELDS)


def add_indexes(client: QdrantClient, collection: str, fields: Iterable[str]) -> None:
    """Create payload indexes; those that exist stay."""
    for field in fields:
        kind = models.PayloadSchemaType(INDEXED_FIELDS[field])
        client.create_payload_index(collection, field, field_schema=kind, wait=True)


def _create(client: QdrantClient, collection: str, dim: int, options: CollectionOptions) -> None:
    try:
        client.create_collection(
            collection,
            vectors_config=models.VectorParams(
                size=dim,
                distance=models.Distance.COSINE,
                on_disk=options.quantization != "none",
            ),
            shard_number=options.shards,
            replication_factor=options.replicas,
            write_consistency_factor=options.write_consistency,
            # Only what is shown is read; what is filtered by is in the indexes.
            on_disk_payload=True,
            quantization_config=_quantization(options),
            # A filter without a payload index would read every point.
            strict_mode_config=models.StrictModeConfig(
                enabled=True, unindexed_filtering_retrieve=False
            ),
        )
    except (UnexpectedResponse, grpc.RpcError):
        if not client.collection_exists(collection):
            raise  # otherwise another worker was faster


def _quantization(options: CollectionOptions) -> models.ScalarQuantization | None:
    if options.quantization == "none":
        return None
    return models.ScalarQuantization(
        scalar=models.ScalarQuantizationConfig(type=models.ScalarType.INT8, always_ram=True)
    )
