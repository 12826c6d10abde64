"""A model that nobody calibrated is calibrated with the photos of its catalogue."""

from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from petsearch.app.services import utc_now
from petsearch.domain import (
    Embedding,
    Embeddings,
    ImageMetadata,
    ImageRecord,
    Item,
    ItemRef,
    Job,
    JobKind,
    JobState,
    NewJob,
    Point,
    image_id_of,
    sha256_of,
)
from petsearch.domain.calibration import Calibration
from petsearch.domain.errors import ConfigurationError, SourceUnavailable
from petsearch.embedding import CachingEmbedder
from petsearch.jobs.chunk_runner import ChunkRun
from petsearch.maintenance.calibration_job import CalibrationSource, CalibrationStarter
from petsearch.maintenance.first_calibration import LEAST_LABELLED, LEAST_PHOTOS
from petsearch.maintenance.predictions import item_origin
from petsearch.models import CatalogueCalibrations
from petsearch.ports import Tokens
from petsearch.reindex.promotion_checks import check_measured
from petsearch.search.query import SearchOptions
from tests.contract.tiny_clip import DIM, TinyClip
from tests.services.house import Cut, House, open_house

_CATS, _DOGS, _ELSE = range(3)
_WORDS = {
    _CATS: ("cat", "kitten", "siamese"),
    _DOGS: ("dog", "puppy", "pug"),
}


class TellingClip(TinyClip):
    """Tells texts about cats, dogs and anything else apart: each has an axis of its own."""

    def __init__(self, spec: str) -> None:
        super().__init__()
        self.info = replace(self.info, model_id="telling-222222222222", spec=spec)

    def tokenise(self, texts: Sequence[str]) -> Tokens:
        """What a text is about, and its length."""
        rows = []
        for text in texts:
            about = (one for one, words in _WORDS.items() if any(w in text for w in words))
            rows.append([next(about, _ELSE), len(text)])
        return np.array(rows, np.int64)

    def encode_tokens(self, tokens: Tokens) -> Embeddings:
        """See `ClipModel.encode_tokens`."""
        return np.stack([_mixed(int(axis), 0.1 * np.sin(length)) for axis, length in tokens])


def _mixed(axis: int, share: float) -> Embedding:
    """A unit vector along an axis, with a share of the last one."""
    row = np.zeros(DIM, np.float32)
    row[axis], row[DIM - 1] = np.sqrt(1 - share**2), share
    return row


Open = Callable[[str], AbstractContextManager[House]]


@pytest.fixture
def opened(tmp_path: Path) -> Open:
    """Opens a house with a model from an address."""
    return lambda spec: open_house(tmp_path, clip=TellingClip(spec))


HUB, FOLDER = "hub:Telling/tests", "dir:/models/telling"


def fill(
    house: House,
    count: int,
    *,
    labelled: bool = True,
    species: Sequence[str] = ("cat", "dog"),
    breeds: Sequence[str] = ("siamese", "pug"),
) -> None:
    """Index photos of these species in turn; every twentieth looks like one of the other."""
    rng = np.random.default_rng(0)
    points = []
    for number in range(count):
        axis = ("cat", "dog").index(species[number % len(species)])
        row = rng.normal(0, 0.2, DIM)
        row[axis] += 1
        if number % 20 == number // 20 % 2:  # of both species in turn
            row[1 - axis] += 1.3
        breed = breeds[axis] if labelled else None
        of = ("cat", "dog")[axis] if labelled and breed in ("siamese", "pug") else None
        said = ImageMetadata(filename=f"{number}.jpg", breed=breed, species=of)
        points.append(Point(_record(number, said), (row / np.linalg.norm(row)).astype(np.float32)))
    collection = house.catalogue.collection()
    for start in range(0, count, 500):
        house.index.insert(collection, points[start : start + 500])


def _record(number: int, said: ImageMetadata) -> ImageRecord:
    digest, now = sha256_of(str(number).encode()), utc_now()
    return ImageRecord(
        image_id=image_id_of(digest),
        sha256=digest,
        metadata=said,
        prediction=None,
        width=1,
        height=1,
        content_type="image/jpeg",
        size_bytes=1,
        created_at=now,
        updated_at=now,
        model_id="",
        first_seen=ItemRef("before", number),
    )


def starter_of(house: House, clock: Callable[[], float] = lambda: 0.0) -> CalibrationStarter:
    """The chore of a worker that has just started."""
    (found,) = (one for one in house.runtime.chores if isinstance(one, CalibrationStarter))
    return CalibrationStarter(
        first=found.first,
        ledger=house.ledger,
        dispatcher=house.dispatcher,
        now=utc_now,
        clock=clock,
    )


def calibrate(house: House) -> Job | None:
    """Look whether it is due, and do what is; the ended job."""
    starter_of(house)()
    house.run()
    return next(iter(house.ledger.newest(1)), None)


def kept(house: House) -> Calibration | None:
    return CatalogueCalibrations(house.store).find(house.clip.info.model_id)


def made_by(house: House) -> Counter[str | None]:
    """How many predictions came from where."""
    collection = house.catalogue.collection()
    ids = house.index.list_ids(collection, after=None, limit=5000)
    found = house.index.get(collection, ids).values()
    return Counter(r.prediction.made_by if r.prediction else None for r in found)


def test_labelled_photos_calibrate_a_model_of_a_hub_and_everything_is_predicted_again(
    opened: Open,
) -> None:
    with opened(HUB) as house:
        fill(house, LEAST_LABELLED)
        job = calibrate(house)
        assert job is not None
        assert (job.kind, job.state) == (JobKind.PREDICTIONS, JobState.SUCCEEDED)
        model = house.catalogue.current().model
        assert model.calibration == kept(house)
        assert model.calibration is not None
        assert model.calibration.of_catalogue
        assert model.calibration.photo is not None
        assert model.guesses is not None
        # One in twenty is misread, whatever the model's own scale says.
        sure = model.guesses.species.probability(np.array([5.0]))
        assert 0.8 < sure[0] < 0.99
        assert made_by(house) == {model.predictions_id: LEAST_LABELLED}
        assert calibrate(house) == job, "once is enough"


def test_without_labels_only_what_is_off_topic_is_told(opened: Open) -> None:
    with opened(HUB) as house:
        fill(house, LEAST_PHOTOS, labelled=False)
        calibrate(house)
        model = house.catalogue.current().model
        assert model.calibration is not None
        assert model.calibration.off_topic.can_tell
        assert model.guesses is None
        search = house.services.search
        assert search.by_text("quarterly report", SearchOptions()).no_good_match
        answer = search.by_text("a dog", SearchOptions())
        assert not answer.no_good_match
        assert {hit.confidence for hit in answer.hits} == {None}
        assert made_by(house) == {None: LEAST_PHOTOS}


def test_labels_that_come_later_add_the_other_curves(opened: Open) -> None:
    with opened(HUB) as house:
        fill(house, LEAST_PHOTOS)
        calibrate(house)
        assert house.catalogue.current().model.guesses is None
        fill(house, LEAST_LABELLED)
        calibrate(house)
        assert house.catalogue.current().model.guesses is not None


def test_a_model_that_may_have_been_trained_on_the_photos_is_not_judged_by_them(
    opened: Open,
) -> None:
    with opened(FOLDER) as house:
        fill(house, LEAST_LABELLED)
        calibrate(house)
        model = house.catalogue.current().model
        assert model.calibration is not None
        assert (model.guesses, model.calibration.photo) == (None, None)


def test_few_photos_calibrate_nothing(opened: Open) -> None:
    with opened(HUB) as house:
        fill(house, LEAST_PHOTOS - 1)
        assert calibrate(house) is None
        assert kept(house) is None


@pytest.mark.parametrize(
    "said", [{"species": ["dog"]}, {"breeds": ["maltipoo", "cockapoo"]}], ids=["dogs", "no species"]
)
def test_photos_that_tell_no_two_species_do_not_calibrate_guesses(
    opened: Open, said: dict[str, Any]
) -> None:
    with opened(HUB) as house:
        fill(house, LEAST_LABELLED, **said)
        calibrate(house)
        found = kept(house)
        assert found is not None
        assert found.guesses is None


@pytest.mark.parametrize(
    ("call", "times"),
    [("read_points", 2), ("list_ids", 3), ("replace_unchanged", 40)],
)
def test_what_is_cut_off_is_finished_later(opened: Open, call: str, times: int) -> None:
    with opened(HUB) as house:
        fill(house, LEAST_LABELLED)
        left = [times]

        def cut(name: str, _: str) -> None:
            left[0] -= name == call
            if not left[0]:
                raise Cut

        house.index.on_call = cut
        with pytest.raises(Cut):
            calibrate(house)
        before = kept(house)
        house.index.on_call = lambda *_: None
        house.queue.chunks, house.queue.readings = [], []  # what it held went with it
        house.dispatcher.recover()
        calibrate(house)
        model = house.catalogue.current().model
        assert house.ledger.active() == []
        assert made_by(house) == {model.predictions_id: LEAST_LABELLED}
        assert before in (None, kept(house)), "it is fitted once"


def test_what_was_published_counts_whatever_is_kept(opened: Open) -> None:
    with opened(HUB) as house:
        fill(house, LEAST_LABELLED)
        starter_of(house).first.make()
        fitted = kept(house)
        assert fitted is not None
        published = replace(fitted, of_catalogue=False, photo=None)
        house.clip.info = replace(house.clip.info, calibration=published)
        assert CatalogueCalibrations(house.store).newer(house.clip.info) is None
        assert calibrate(house) is None
        assert kept(house) == fitted
        assert house.catalogue.current().model.calibration == published


class Elsewhere(CachingEmbedder):
    """Embedders of other processes read by themselves what is kept."""

    def calibrate(self, model_id: str, calibration: Calibration) -> None:
        """See `HttpEmbedder.calibrate`."""


def test_nothing_is_predicted_again_before_the_embedder_has_read_the_calibration(
    opened: Open,
) -> None:
    with opened(HUB) as house:
        embedder = house.embedder
        fill(house, LEAST_LABELLED)
        reading = replace(starter_of(house).first, embedder=Elsewhere(embedder, most_texts=5000))
        source = CalibrationSource(reading, utc_now)
        with pytest.raises(SourceUnavailable, match="not read"):
            next(source.read(None))
        late = CalibrationSource(reading, lambda: utc_now() + timedelta(minutes=6))
        with pytest.raises(ConfigurationError, match="PETSEARCH_STORE_URL"):
            next(late.read(None))
        found = kept(house)
        assert found is not None
        embedder.calibrate(house.clip.info.model_id, found)
        assert len([*source.read(None)]) == LEAST_LABELLED


def test_a_worker_that_does_not_know_the_calibration_yet_waits_for_it(opened: Open) -> None:
    with opened(HUB) as house:
        fill(house, LEAST_LABELLED)
        starter_of(house).first.make()
        calibrated = house.clip.info
        (image_id,) = house.index.list_ids(house.catalogue.collection(), after=None, limit=1)
        item = Item(0, "", ImageMetadata(), None, origin=item_origin(image_id, calibrated))
        house.ledger.create(NewJob("again", "test", utc_now(), kind=JobKind.PREDICTIONS))
        job = house.ledger.get("again")
        run = ChunkRun(job, 0, [item], lambda: False, one_by_one=False, failures=Counter())
        updater = house.worker.runner.processors[JobKind.PREDICTIONS]
        house.clip.info = replace(calibrated, calibration=None)
        with pytest.raises(SourceUnavailable):
            updater.process(run, [item])
        house.clip.info = calibrated
        assert len(updater.process(run, [item])) == 1


def test_it_is_looked_for_once_a_minute_and_opened_once(opened: Open) -> None:
    now = [0.0]
    with opened(HUB) as house:
        starter = starter_of(house, lambda: now[0])
        starter()
        fill(house, LEAST_PHOTOS)
        starter()
        assert house.ledger.active() == []
        now[0] += 60
        starter()
        starter_of(house)()  # another worker
        now[0] += 60
        starter()
        assert len(house.ledger.active()) == 1


def test_it_is_no_measurement_that_lets_a_model_be_promoted(opened: Open) -> None:
    with opened(HUB) as house:
        fill(house, LEAST_PHOTOS)
        calibrate(house)
        assert house.clip.info.calibration is not None
        assert not check_measured(house.clip.info, has_metrics=False).passed
