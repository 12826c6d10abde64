"""What writes to all collections and what writes to one are two types: neither does for the other.

The `type: ignore` comments are the test: mypy reports one that is not needed any more.
"""

import inspect

from petsearch.adapters.qdrant.edge_index import QdrantEdgeIndex
from petsearch.ports import IndexReader, IndexWriter
from petsearch.ports.raw_index import RawIndex
from petsearch.reindex import FanOutIndex


def as_types_have_it(fan_out: FanOutIndex, raw: RawIndex) -> None:
    """Assignments that mypy accepts, and those that it refuses."""
    _writer: IndexWriter = fan_out
    _reader: IndexReader = raw
    _wrong_writer: IndexWriter = raw  # type: ignore[assignment]  # writes to one collection
    _wrong_index: RawIndex = fan_out  # type: ignore[assignment]  # writes to all of them
    _wrong_reader: IndexReader = fan_out  # type: ignore[assignment]  # reads no single collection


def test_what_writes_everywhere_and_what_writes_to_one_share_no_write() -> None:
    everywhere, one = (_methods(kind) for kind in (FanOutIndex, QdrantEdgeIndex))
    assert everywhere & one == {"get"}


def _methods(kind: type) -> set[str]:
    return {name for name, _ in inspect.getmembers(kind, inspect.isfunction) if name[0] != "_"}
