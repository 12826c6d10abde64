"""Species and breeds that nobody stated: what is said of them, and predicting them again."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace

import pytest
from fastapi.testclient import TestClient

from petsearch.app.services import utc_now
from petsearch.domain import (
    Filters,
    ImageMetadata,
    ImageRecord,
    Item,
    ItemStatus,
    JobKind,
    Label,
    NewJob,
    Outcome,
    Prediction,
)
from petsearch.domain.errors import Conflict
from petsearch.embedding import BreedTagger
from petsearch.jobs import Upload
from petsearch.jobs.chunk_runner import ChunkRun
from services.api.app import build_app
from tests import pictures
from tests.services.house import A, House


@pytest.fixture
def api(house: House) -> Iterator[TestClient]:
    settings = house.services.settings.model_copy(update={"allow_no_keys": True})
    services = replace(house.services, settings=settings)
    with TestClient(build_app(services), base_url="http://127.0.0.1") as client:
        yield client


SIAMESE = Prediction("siamese", "cat", 0.4)
"""As earlier versions stored it."""


def test_names_that_a_loaded_model_was_given_since_are_predicted(house: House) -> None:
    tagger, photo = BreedTagger(house.embedder), house.clip.answer(60)[None]
    before = house.clip.info
    # The tiny model sees how long a name is: the longest one is the nearest.
    after = replace(before, labels=(Label("manx", "cat"), Label("coton de tulear", "dog")))
    for model, breed in ((before, "siamese"), (after, "coton de tulear"), (before, "siamese")):
        assert tagger.predict(model, photo)[0].breed == breed


def _ingest(house: House, *species: str | None) -> list[str]:
    said = [ImageMetadata(filename=f"{n}.jpg", species=one) for n, one in enumerate(species)]
    return house.ingest(*(Upload(pictures.jpeg(n), one) for n, one in enumerate(said)))


def _predicted(house: House, image_id: str, prediction: Prediction | None) -> ImageRecord:
    record: ImageRecord = house.index.get(A, [image_id])[image_id]
    house.index.replace_records(A, [replace(record, prediction=prediction)])
    return record


def _predict_again(house: House, *image_ids: str) -> list[Outcome]:
    house.ledger.create(NewJob("again", "reconcile", utc_now(), kind=JobKind.PREDICTIONS))
    items = [Item(n, "", ImageMetadata(), None, origin=i) for n, i in enumerate(image_ids)]
    job = house.ledger.get("again")
    run = ChunkRun(job, 0, items, lambda: False, one_by_one=False, failures=Counter())
    return [*house.worker.runner.processors[JobKind.PREDICTIONS].process(run, items)]


def test_what_earlier_versions_predicted_is_predicted_again_without_pixels(house: House) -> None:
    old, new = _ingest(house, None, None)
    before = _predicted(house, old, SIAMESE)
    embedded = len([kind for kind, _ in house.clip.calls if kind == "pixels"])
    gone = "00000000-0000-4000-8000-000000000000"
    outcomes = _predict_again(house, old, new, gone)
    assert [o.status for o in outcomes] == [
        ItemStatus.INGESTED,
        ItemStatus.DUPLICATE,
        ItemStatus.DUPLICATE,
    ]
    assert house.index.get(A, [old])[old] == before
    assert before.prediction is not None
    assert before.prediction.made_by == house.clip.info.predictions_id
    assert len([kind for kind, _ in house.clip.calls if kind == "pixels"]) == embedded


def test_a_change_of_the_photo_meanwhile_is_kept(house: House) -> None:
    (old,) = _ingest(house, None)
    _predicted(house, old, SIAMESE)
    changed: list[str] = []

    def change(name: str, collection: str) -> None:
        if name == "replace_unchanged" and not changed:
            changed.append(collection)
            house.services.images.amend(old, {"status": "lost"})

    house.index.on_call = change
    _predict_again(house, old)
    record = house.index.get(A, [old])[old]
    assert record.metadata.status == "lost"
    assert record.prediction.made_by == house.clip.info.predictions_id


def test_a_photo_that_changes_without_end_is_left_to_a_later_try(house: House) -> None:
    (old,) = _ingest(house, None)
    _predicted(house, old, SIAMESE)
    tries: list[str] = []

    def change(name: str, collection: str) -> None:
        if name == "replace_unchanged":
            assert len(tries) < 50, "it does not end"
            house.index.on_call = lambda *_: None
            house.services.images.amend(old, {"status": f"lost {len(tries)}"})
            house.index.on_call = change
            tries.append(collection)

    house.index.on_call = change
    with pytest.raises(Conflict, match="as fast as"):
        _predict_again(house, old)


@pytest.mark.parametrize(
    ("prediction", "source"),
    [
        (None, "unsure"),
        (SIAMESE, "unsure"),
        (Prediction("siamese", "cat", 0.4, 0.92, "m"), "unsure"),
        (Prediction("siamese", "cat", 0.4, 0.93, "m"), "predicted"),
    ],
)
def test_a_filter_lists_what_may_be_of_the_species(
    house: House, api: TestClient, prediction: Prediction | None, source: str
) -> None:
    guessed, stated = _ingest(house, None, "dog")
    _predicted(house, guessed, prediction)
    is_sure = source == "predicted"
    expected = {stated} if is_sure else {guessed, stated}
    for path in ("/v1/images", "/v1/search"):
        words = {"q": "cat"} if path == "/v1/search" else {}
        answer = api.get(path, params={"species": "dog", **words}).json()
        assert {item["image_id"] for item in answer["items"]} == expected
        assert answer["predictions_calibrated"] is False
    image = api.get(f"/v1/images/{guessed}").json()
    assert image["species_source"] == source
    assert image["species_confidence"] == (prediction.species_confidence if prediction else None)
    assert api.get(f"/v1/images/{stated}").json()["species_source"] == "stated"
    facets = api.get("/v1/facets?by=species").json()
    assert {value["value"] for value in facets["values"]} == (
        {"cat", "dog"} if is_sure else {"dog"}
    )
    assert facets["unsure"] == (0 if is_sure else 1)


@pytest.mark.parametrize("name", ["not_species", "not_breed"])
def test_filters_that_exclude_tell_whether_guesses_are_calibrated(
    house: House, api: TestClient, name: str
) -> None:
    _ingest(house, None)
    for path in ("/v1/images?", "/v1/search?q=cat&", "/v1/facets?by=tag&"):
        answer = api.get(f"{path}{name}=pug").json()
        assert answer["predictions_calibrated"] is False, path


def test_a_breed_is_a_name_from_half_on(house: House, api: TestClient) -> None:
    stated, sure, unsure = _ingest(house, None, None, None)
    house.services.images.amend(stated, {"breed": "pug"})
    _predicted(house, sure, Prediction("siamese", "cat", 0.5))
    _predicted(house, unsure, Prediction("siamese", "cat", 0.4999))
    sources = [api.get(f"/v1/images/{i}").json()["breed_source"] for i in (stated, sure, unsure)]
    assert sources == ["label", "predicted", "unsure"]
    facets = api.get("/v1/facets?by=breed").json()
    assert {v["value"]: v["count"] for v in facets["values"]} == {"pug": 1, "siamese": 1}
    assert facets["unsure"] == 1


def test_what_changes_or_deletes_takes_stated_names_alone(house: House) -> None:
    guessed, stated = _ingest(house, None, "dog")
    _predicted(house, guessed, Prediction("pug", "dog", 1.0, 1.0, "m"))
    records, _ = house.index.list_newest(A, limit=9, filters=Filters(species=("dog",)))
    assert [record.image_id for record in records] == [stated]
