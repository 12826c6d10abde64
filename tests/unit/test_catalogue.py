"""A model that the embedder lost is loaded by one call; nobody else waits for it."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import cast

import pytest

from petsearch.adapters.qdrant.edge_index import QdrantEdgeIndex
from petsearch.domain import ModelInfo
from petsearch.domain.errors import Unavailable
from petsearch.models import Catalogue, collection_of
from petsearch.ports import Embedder
from tests.contract.tiny_clip import TinyClip

LOST = replace(TinyClip().info, model_id="lost-000000000000")


class SlowToLoad:
    """An embedder that lost its model, and takes until `may_end` to load it."""

    def __init__(self) -> None:
        self.begun = threading.Event()
        self.may_end = threading.Event()
        self._loaded: tuple[ModelInfo, ...] = ()

    def models(self) -> tuple[ModelInfo, ...]:
        return self._loaded

    def load(self, spec: str) -> ModelInfo:
        assert spec == f"s3:{LOST.model_id}"
        self.begun.set()
        assert self.may_end.wait(30)
        self._loaded = (LOST,)
        return LOST


@pytest.fixture
def index(tmp_path: Path) -> Iterator[QdrantEdgeIndex]:
    opened = QdrantEdgeIndex(tmp_path / "index")
    opened.create_collection(collection_of(LOST.model_id), LOST.dim)
    opened.point_alias_to(collection_of(LOST.model_id))
    yield opened
    opened.close()


def test_one_call_loads_it_and_the_others_are_told_to_come_again(index: QdrantEdgeIndex) -> None:
    embedder = SlowToLoad()
    catalogue = Catalogue(index, cast(Embedder, embedder), spec_of="s3:{}".format)
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(catalogue.current)
        assert embedder.begun.wait(30)
        with pytest.raises(Unavailable, match="is being loaded"):
            catalogue.current()
        embedder.may_end.set()
        assert first.result(30).model == LOST
    assert catalogue.current().model == LOST
