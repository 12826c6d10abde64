"""With the embedder service gone, queries that were asked before are still answered."""

from pathlib import Path

import pytest

from petsearch.adapters import embedder_http
from petsearch.adapters.clip.model import load_model
from petsearch.adapters.qdrant.edge_index import QdrantEdgeIndex
from petsearch.domain import ImageRecord, Point, SureFrom
from petsearch.domain.errors import Unavailable
from petsearch.embedding import BatchingEmbedder, BatchingOptions, CachingEmbedder
from petsearch.models import Catalogue
from petsearch.search import Searcher, SearchOptions
from tests.contract.records import record
from tests.decoding import decoders
from tests.embedder_server import served


@pytest.fixture(scope="module")
def embedder() -> BatchingEmbedder:
    return BatchingEmbedder(load_model("sample", device="cpu"), BatchingOptions())


def test_known_queries_are_answered_without_the_embedder(
    embedder: BatchingEmbedder, tmp_path: Path
) -> None:
    index = QdrantEdgeIndex(tmp_path)
    with served(embedder) as url:
        remote = embedder_http.connect(url)
        cache = CachingEmbedder(remote, most_texts=100)
        catalogue = Catalogue(index, cache)
        target = catalogue.initialise()
        rows = remote.embed_texts(["cat", "dog"])
        records: list[ImageRecord] = [record(number) for number in range(2)]
        points = [Point(one, row) for one, row in zip(records, rows, strict=True)]
        index.insert(target.collection, points)
        searcher = Searcher(
            embedder=cache,
            index=index,
            catalogue=catalogue,
            decoders=decoders(),
            sure_from=SureFrom(0.95, 0.95),
            max_query_characters=1000,
        )
        before = searcher.by_text("dog", SearchOptions())
    assert [hit.record.metadata.filename for hit in before.hits] == ["1.jpg", "0.jpg"]
    assert searcher.by_text("dog", SearchOptions()) == before
    with pytest.raises(Unavailable, match="embedder"):
        searcher.by_text("never asked", SearchOptions())
    remote.close()
    index.close()


def test_the_calibration_comes_with_the_model(embedder: BatchingEmbedder) -> None:
    with served(embedder) as url:
        remote = embedder_http.connect(url)
        assert remote.models() == embedder.models()
        assert remote.models()[0].calibration is not None
        remote.close()
