"""Which models an embedder serves, as the document in the object store says."""

import json
import threading
from collections.abc import Iterator
from contextlib import closing
from dataclasses import asdict, replace
from pathlib import Path

import httpx
import pytest

from petsearch.adapters import embedder_http
from petsearch.adapters.objects import FilesystemStore
from petsearch.app.services import utc_now
from petsearch.domain import object_keys
from petsearch.domain.calibration import Calibration, OffTopic, Spread
from petsearch.domain.errors import NotFound, Unavailable
from petsearch.embedding import BatchingEmbedder, BatchingOptions
from petsearch.models import CatalogueCalibrations, Registry, ServedModel, Serving, write_serving
from petsearch.ports import ClipModel
from services.embedder import model_watch
from services.embedder.model_watch import ModelWatch
from tests.contract.tiny_clip import DIM, OtherClip, TinyClip
from tests.embedder_server import served

OLD, NEW = TinyClip().info.model_id, OtherClip().info.model_id


class Models:
    """Loads tiny models in fp32, whatever is asked for."""

    def __init__(self) -> None:
        self.loads: list[str] = []

    def __call__(self, wanted: ServedModel) -> ClipModel:
        self.loads.append(wanted.spec)
        if wanted.model_id not in (OLD, NEW):
            raise NotFound(f"There is no model {wanted.model_id!r}.")
        return TinyClip() if wanted.model_id == OLD else OtherClip()


class Store(FilesystemStore):
    """A store that can be away."""

    is_away = False

    def get(self, key: str) -> bytes:
        if self.is_away:
            raise Unavailable("The store does not answer.")
        return super().get(key)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path)


@pytest.fixture
def models() -> Models:
    return Models()


@pytest.fixture
def embedder() -> Iterator[BatchingEmbedder]:
    opened = BatchingEmbedder(TinyClip(), BatchingOptions())
    yield opened
    opened.close()


@pytest.fixture
def now() -> list[float]:
    return [0.0]


@pytest.fixture
def watch(embedder: BatchingEmbedder, store: Store, models: Models, now: list[float]) -> ModelWatch:
    return ModelWatch(embedder, store, models, clock=lambda: now[0])


def need(store: Store, *model_ids: str, **more: str) -> None:
    """Say which models are needed, the current one first."""
    named = [ServedModel(model_id=one, spec=f"s3:{one}", **more) for one in model_ids]
    write_serving(store, Serving(models=tuple(named)))


def calibration(below: float) -> Calibration:
    """As a catalogue without labels makes it."""
    return Calibration(
        weights=OLD.rpartition("-")[2],
        spread=Spread(mean=(0.0,) * DIM, factors=((0.1,) * DIM,), rest=0.01),
        breed_text=None,
        species_text=None,
        photo=None,
        off_topic=OffTopic(1.0, 1.0, below),
        of_catalogue=True,
    )


def publish_documents(store: Store, folder: Path, **documents: object) -> None:
    """What is published of the old model beside its weights, by the names of the files."""
    files = {f"{name}.json": folder / f"{name}.json" for name in documents}
    for path, content in zip(files.values(), documents.values(), strict=True):
        path.write_text(json.dumps(content))
    Registry(store).publish(OLD, files, utc_now())


def names(*breeds: str) -> dict[str, object]:
    """A labels.json."""
    return {"labels": [{"breed": breed, "species": "cat"} for breed in breeds]}


def ids(embedder: BatchingEmbedder) -> set[str]:
    return {model.model_id for model in embedder.models()}


def test_models_are_loaded_and_unloaded_as_they_are_needed(
    embedder: BatchingEmbedder, store: Store, watch: ModelWatch
) -> None:
    watch.look()
    assert ids(embedder) == {OLD}
    for wanted in ((OLD, NEW), (NEW, OLD), (NEW,), (OLD,)):
        need(store, *wanted)
        watch.look()
        assert ids(embedder) == set(wanted)
        assert watch.reason is None


def test_while_the_document_cannot_be_read_what_it_said_last_is_served(
    embedder: BatchingEmbedder, store: Store, watch: ModelWatch
) -> None:
    need(store, OLD, NEW)
    watch.look()
    store.is_away = True
    watch.look()
    assert ids(embedder) == {OLD, NEW}
    store.is_away = False
    store.put(object_keys.SERVING, b"[]")
    watch.look()
    assert ids(embedder) == {OLD, NEW}
    need(store, NEW)
    watch.look()
    assert ids(embedder) == {NEW}


def test_a_calibration_that_was_fitted_meanwhile_is_served(
    embedder: BatchingEmbedder, store: Store, watch: ModelWatch
) -> None:
    kept = CatalogueCalibrations(store)
    with served(embedder, watch=watch) as url, closing(embedder_http.connect(url)) as remote:
        watch.look()
        assert remote.models()[0].calibration is None
        # Of two sizes: both may be written within one tick of the file system's clock.
        for below in (1.0, 20.0):
            fitted = calibration(below)
            kept.keep(OLD, fitted)
            watch.look()
            assert embedder.models()[0].calibration == fitted
        remote.calibrate(OLD, fitted)
        assert remote.models()[0].calibration == fitted


def test_a_model_that_is_loaded_anew_is_calibrated_so_too(
    embedder: BatchingEmbedder, store: Store, watch: ModelWatch
) -> None:
    CatalogueCalibrations(store).keep(OLD, calibration(1.0))
    for _ in range(2):
        watch.look()
        assert embedder.models()[0].calibration == calibration(1.0)
        embedder.put(TinyClip())


def test_one_that_cannot_be_read_changes_nothing(
    embedder: BatchingEmbedder, store: Store, watch: ModelWatch
) -> None:
    CatalogueCalibrations(store).keep(OLD, calibration(1.0))
    watch.look()
    store.put(object_keys.catalogue_calibration(OLD), b"{}")
    need(store, OLD, NEW)
    watch.look()
    assert embedder.models()[0].calibration == calibration(1.0)
    assert ids(embedder) == {OLD, NEW}


def test_a_loaded_model_is_described_as_it_is_published_by_now(
    embedder: BatchingEmbedder, store: Store, watch: ModelWatch, tmp_path: Path
) -> None:
    fitted = replace(calibration(1.0), of_catalogue=False)
    with served(embedder, watch=watch) as url:
        for breeds in (("manx",), ("manx", "korat")):
            publish_documents(store, tmp_path, labels=names(*breeds), calibration=asdict(fitted))
            watch.look()
            with closing(embedder_http.connect(url)) as remote:
                (model,) = remote.models()
            assert tuple(label.breed for label in model.labels) == breeds
            assert model.calibration == fitted
    assert watch.reason is None


def test_a_model_that_is_loaded_anew_is_described_so_too(
    embedder: BatchingEmbedder, store: Store, watch: ModelWatch, tmp_path: Path
) -> None:
    publish_documents(store, tmp_path, labels=names("manx"))
    for _ in range(2):
        watch.look()
        assert [label.breed for label in embedder.models()[0].labels] == ["manx"]
        embedder.put(TinyClip())


def test_a_description_that_cannot_be_read_changes_nothing_until_it_is_mended(
    embedder: BatchingEmbedder, store: Store, watch: ModelWatch, tmp_path: Path
) -> None:
    CatalogueCalibrations(store).keep(OLD, calibration(1.0))
    publish_documents(store, tmp_path, labels=names("manx"))
    key = object_keys.model_file(OLD, "labels.json")
    store.delete(key)
    watch.look()
    assert embedder.models()[0].labels == TinyClip().info.labels
    publish_documents(store, tmp_path, labels=names("manx"))
    watch.look()
    model = embedder.models()[0]
    assert [label.breed for label in model.labels] == ["manx"]
    assert model.calibration == calibration(1.0), "nobody published one"


def test_an_embedder_is_ready_while_it_serves_what_is_searched_with(
    embedder: BatchingEmbedder, store: Store, watch: ModelWatch
) -> None:
    with served(embedder, watch=watch) as url, httpx.Client(base_url=url) as http:
        need(store, OLD, "dogs-0123456789ab")
        watch.look()
        assert http.get("/readyz").status_code == 200, "a candidate is not searched with"
        listed = http.get("/v1/models").json()
        assert listed["is_ready"]
        assert "dogs" in listed["failed"]["s3:dogs-0123456789ab"]

        need(store, "dogs-0123456789ab", OLD)
        watch.look()
        answer = http.get("/readyz")
        assert answer.status_code == 503
        assert "There is no model 'dogs-0123456789ab'" in answer.json()["detail"]
        assert not http.get("/v1/models").json()["is_ready"]
        assert http.get("/livez").status_code == 200
        assert ids(embedder) == {OLD}


def test_a_precision_that_cannot_be_served_is_the_reason_why_it_is_not_ready(
    store: Store, watch: ModelWatch
) -> None:
    need(store, OLD, precision="bf16")
    watch.look()
    assert watch.reason is not None
    assert "is served in bf16, but this embedder can only run it in fp32." in watch.reason
    need(store, OLD, precision="fp32")
    watch.look()
    assert watch.reason is None


def test_what_was_loaded_in_another_precision_is_replaced(
    store: Store, models: Models, now: list[float]
) -> None:
    clip = TinyClip()
    clip.info = replace(clip.info, precision="bf16")
    embedder = BatchingEmbedder(clip, BatchingOptions())
    need(store, OLD, precision="fp32")
    watch = ModelWatch(embedder, store, models, clock=lambda: now[0])
    watch.look()
    assert [model.precision for model in embedder.models()] == ["fp32"]
    embedder.embed_texts(["a cat"])
    embedder.close()


def test_what_cannot_be_loaded_is_tried_again_after_a_while(
    store: Store, watch: ModelWatch, models: Models, now: list[float]
) -> None:
    need(store, OLD, "dogs-0123456789ab")
    for seconds in (0.0, 1.0, 2.0, 100.0):
        now[0] = seconds
        watch.look()
    assert models.loads == ["s3:dogs-0123456789ab"] * 2


def test_a_model_for_which_there_is_no_place_is_not_loaded_at_every_look(
    embedder: BatchingEmbedder, store: Store, watch: ModelWatch, models: Models
) -> None:
    clip = TinyClip()
    clip.info = replace(clip.info, model_id="birds")
    embedder.put(clip)
    need(store, OLD, "birds", NEW)
    for _ in range(3):
        watch.look()
    assert models.loads == [f"s3:{NEW}"]
    assert "Unload one" in watch.failed[f"s3:{NEW}"]


def test_no_model_is_loaded_after_it_was_closed(
    embedder: BatchingEmbedder, store: Store, models: Models
) -> None:
    def load(wanted: ServedModel) -> ClipModel:
        closed.close()
        return models(wanted)

    closed = ModelWatch(embedder, store, load)
    need(store, NEW, "dogs-0123456789ab")
    closed.look()
    assert models.loads == [f"s3:{NEW}"]


def test_closing_does_not_wait_long_for_a_model_that_is_being_loaded(
    embedder: BatchingEmbedder, store: Store, models: Models, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(model_watch, "_CLOSE_S", 0.1)
    begun, go_on = threading.Event(), threading.Event()

    def load(wanted: ServedModel) -> ClipModel:
        begun.set()
        go_on.wait(60)
        return models(wanted)

    watch = ModelWatch(embedder, store, load)
    need(store, NEW)
    watch.start()
    assert begun.wait(30)
    closing = threading.Thread(target=watch.close)
    closing.start()
    closing.join(15)
    is_closed = not closing.is_alive()
    go_on.set()
    closing.join(30)
    assert is_closed


def test_who_asks_for_a_model_that_is_not_loaded_is_told_so(embedder: BatchingEmbedder) -> None:
    with served(embedder) as url, httpx.Client(base_url=url) as http:
        answer = http.post("/v1/embed/texts", json={"texts": ["a"], "model_id": NEW})
        assert (answer.status_code, answer.json()["type"]) == (409, "model_not_loaded")
