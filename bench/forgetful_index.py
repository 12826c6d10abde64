"""An index that only keeps the latest records, to measure a worker's memory without Qdrant's."""

from collections import OrderedDict
from collections.abc import Sequence
from typing import Any

from petsearch.domain import ImageRecord, Point

_REMEMBERED = 512


class ForgetfulIndex:
    """The part of the `Index` port that ingest uses."""

    def __init__(self) -> None:
        self._records: OrderedDict[str, ImageRecord] = OrderedDict()
        self._current: str | None = None

    def create_collection(self, collection: str, dim: int) -> None:
        """See `Index.create_collection`."""

    def current(self) -> str | None:
        """See `Index.current`."""
        return self._current

    def point_alias_to(self, collection: str) -> None:
        """See `Index.point_alias_to`."""
        self._current = collection

    def insert(self, collection: str, points: Sequence[Point]) -> None:  # noqa: ARG002  # the port's signature
        """See `Index.insert`; drops the oldest records."""
        for point in points:
            self._records.setdefault(point.record.image_id, point.record)
        while len(self._records) > _REMEMBERED:
            self._records.popitem(last=False)

    def get(self, collection: str, image_ids: Sequence[str]) -> dict[str, ImageRecord]:  # noqa: ARG002  # the port's signature
        """See `Index.get`."""
        return {i: self._records[i] for i in image_ids if i in self._records}

    def ping(self) -> None:
        """See `Index.ping`."""

    def close(self) -> None:
        """See `Index.close`."""

    def __getattr__(self, name: str) -> Any:
        raise NotImplementedError(f"the stand-in has no {name}")
