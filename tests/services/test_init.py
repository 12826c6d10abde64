"""`petsearch init`: what a new deployment lacks is made, once, when it can be."""

import threading
from contextlib import ExitStack
from itertools import pairwise
from pathlib import Path

import pytest
import uvicorn

from devstack.addresses import free_port
from petsearch.adapters.clip.model import load_model
from petsearch.adapters.qdrant.edge_index import QdrantEdgeIndex
from petsearch.cli.init import initialise
from petsearch.domain.errors import Unavailable
from petsearch.embedding import BatchingEmbedder, BatchingOptions
from petsearch.photos import Decoders, ImageLimits
from petsearch.settings import Settings
from services.embedder.app import build_app
from services.embedder.decoder import Decoder
from services.embedder.loading import Loading
from services.embedder.metrics import EmbedderMetrics
from services.embedder.parts import Parts
from tests.contract.tiny_clip import TinyClip
from tests.embedder_server import served
from tests.services.house import settings_in


@pytest.fixture
def port() -> int:
    return free_port()


@pytest.fixture
def settings(tmp_path: Path, port: int) -> Settings:
    """Everything in a folder, but the embedder."""
    return settings_in(tmp_path, embedder_url=f"http://127.0.0.1:{port}")


def test_what_is_not_up_yet_is_waited_for_and_what_is_there_stays(
    settings: Settings, port: int
) -> None:
    said = list[str]()
    with ExitStack() as opened:
        model = BatchingEmbedder(load_model("sample", device="cpu"), BatchingOptions())
        opened.callback(model.close)
        decoder = Decoder(Decoders(ImageLimits(), processes=1))
        opened.callback(decoder.close)
        metrics = EmbedderMetrics()
        app = build_app(Loading.done(Parts(model, decoder, metrics)), metrics)
        config = uvicorn.Config(app, host="127.0.0.1", port=port, log_config=None)
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run)

        def start_at_the_first_word(line: str) -> None:
            if not said:
                thread.start()
            said.append(line)

        def stop() -> None:
            server.should_exit = True
            thread.join()

        opened.callback(stop)
        first = initialise(settings, patience_s=60, report=start_at_the_first_word)
        assert said[0].startswith("Waiting: ")
        assert all(before != line for before, line in pairwise(said))
        again = initialise(settings, patience_s=0, report=said.append)
    assert first is not None
    assert again == first
    assert first.collection == f"pets-{first.model.model_id}"


def test_a_collection_of_another_model_is_left_alone_and_said(
    settings: Settings, tmp_path: Path
) -> None:
    index = QdrantEdgeIndex(tmp_path / "index")
    index.create_collection("pets-another", 4)
    index.point_alias_to("pets-another")
    index.close()
    said: list[str] = []
    embedder = BatchingEmbedder(TinyClip(), BatchingOptions())
    with served(embedder) as url:
        here = settings.model_copy(update={"embedder_url": url})
        assert initialise(here, patience_s=0, report=said.append) is None
    embedder.close()
    assert "'another', with which photos are indexed, is not loaded" in said[0]


def test_patience_ends(settings: Settings) -> None:
    with pytest.raises(Unavailable):
        initialise(settings, patience_s=0, report=lambda _: None)
