"""Connections to Qdrant servers, before anything is sent."""

import warnings
from collections.abc import Iterable
from typing import Any

import pytest
from qdrant_client import models

from petsearch.adapters.qdrant import index as qdrant_index
from petsearch.adapters.qdrant.collection import CollectionOptions
from petsearch.adapters.qdrant.index import QdrantIndex, connect
from petsearch.adapters.qdrant.payload import to_payload
from petsearch.domain import Filters
from petsearch.domain.errors import Unavailable
from tests.contract.records import record


class Replicas:
    """Of a point that one replica has and others may not have yet; answers as a Qdrant client.

    Args:
        agree: whether they do, at each read of several of them.
        is_there: whether one of them has the point.
    """

    def __init__(self, agree: Iterable[bool], *, is_there: bool = True) -> None:
        self._agree = iter(agree)
        self._is_there = is_there

    def retrieve(self, *_: Any, consistency: Any = None, **__: Any) -> list[models.Record]:
        """The point, unless several are asked that do not agree: Qdrant leaves it out then."""
        is_found = self._is_there and (consistency is None or next(self._agree))
        found = record(1)
        return [models.Record(id=found.image_id, payload=to_payload(found))] * is_found


class Facets:
    """A client whose server returns one value that a point has, and one that none has any more."""

    def facet(self, *_: Any, **__: Any) -> models.FacetResponse:
        """Both, with their counts."""
        counts = {"found": 1, "lost": 0}
        hits = [models.FacetValueHit(value=value, count=count) for value, count in counts.items()]
        return models.FacetResponse(hits=hits)


def index_of(replicas: Replicas) -> QdrantIndex:
    """The index over a client that answers like this."""
    return QdrantIndex(replicas, CollectionOptions(replicas=3))  # type: ignore[arg-type]  # as used


def test_a_record_on_which_replicas_differ_is_not_absent() -> None:
    index = index_of(Replicas([False, False, True]))
    assert index.get("pets", [record(1).image_id]) == {record(1).image_id: record(1)}


def test_where_replicas_never_agree_nothing_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(qdrant_index, "_AGREE_S", (0.0, 0.0))
    with pytest.raises(Unavailable):
        index_of(Replicas([False, False])).get("pets", [record(1).image_id])


def test_what_no_replica_has_is_absent() -> None:
    index = index_of(Replicas([True], is_there=False))
    assert index.get("pets", [record(1).image_id]) == {}


def test_a_key_within_a_network_of_containers_is_no_reason_for_a_warning() -> None:
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        connect("http://qdrant:6333", api_key="for-qdrant").close()
    assert [str(warning.message) for warning in said] == []


def test_values_that_no_point_has_any_more_are_no_facets() -> None:
    index = QdrantIndex(Facets())  # type: ignore[arg-type]  # as used here
    assert index.facet("pets", "status", Filters()) == {"found": 1}
