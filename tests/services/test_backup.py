"""Backup and restore in both shapes: the same answers, jobs and keys; damage is refused by name."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import cast

import pytest
import redis

from devstack.qdrant_server import build_app
from petsearch.adapters.redis import RedisLedger
from petsearch.adapters.redis.backup import RedisCopy
from petsearch.app.connections import open_place
from petsearch.app.services import Storage, open_keys, open_storage
from petsearch.catalogue import delete_images
from petsearch.domain import Filters, ImageMetadata, ItemStatus, JsonDict, NewJob
from petsearch.domain.api_keys import Scope, make_key
from petsearch.domain.errors import ConfigurationError, Conflict, InvalidInput, Unavailable
from petsearch.domain.object_keys import original, staging, thumbnail
from petsearch.jobs import Upload
from petsearch.maintenance import Backup, Kept, Manifest, Place, Restore
from petsearch.maintenance.backup_format import MANIFEST
from petsearch.ports import CallKey, ObjectStore, OpenChunks, StoredObject
from petsearch.ports.raw_index import RawIndex
from petsearch.reindex import FanOutIndex
from petsearch.settings import Settings
from tests.app_server import served_app
from tests.contract.records import DIM, embedding, point, record
from tests.redis_server import new_database
from tests.services.house import House, open_house, photo

NOW = datetime(2026, 11, 25, tzinfo=UTC)
PETS = "pets-model-0"
PHOTOS = 30
MakeSettings = Callable[[str], Settings]
"""Settings of an empty place to keep everything in, by its name."""


@pytest.fixture(scope="module")
def servers(s3_url: str) -> Iterator[MakeSettings]:
    """Redis, S3, and an index server for each name, over HTTP."""
    numbers = count()
    with ExitStack() as opened:

        def make(name: str) -> Settings:
            return Settings(
                index_url=opened.enter_context(served_app(build_app())),
                qdrant_grpc=False,
                store_url=f"{s3_url}/{name}-{next(numbers)}",
                redis_url=new_database(),
                s3_access_key="testing",
                s3_secret_key="testing-secret",
            )

        yield make


@pytest.fixture(params=["standalone", "servers"])
def make(request: pytest.FixtureRequest, tmp_path: Path) -> MakeSettings:
    if request.param == "servers":
        chosen: MakeSettings = request.getfixturevalue("servers")
        return chosen
    return lambda name: Settings(
        index_url=f"edge:{tmp_path / name / 'index'}",
        store_url=f"file:{tmp_path / name / 'objects'}",
        redis_url=f"local:{tmp_path / name / 'redis'}",
    )


@dataclass(frozen=True)
class Source:
    """Where photos, a job and a key are, and the secret of that key."""

    settings: Settings
    secret: str

    def back_up(self, place: Place, *, with_objects: bool = True) -> Manifest:
        with open_storage(self.settings) as storage:
            made = Backup(storage.kept, place, clock=lambda: NOW, say=lambda _: None)
            return made.run(with_objects=with_objects)


@pytest.fixture
def source(make: MakeSettings) -> Source:
    settings = make("source")
    key = make_key("curator", [Scope.ADMIN], NOW)
    with open_storage(settings) as storage:
        index, ledger = storage.index, storage.ledger
        index.create_collection(PETS, DIM)
        index.point_alias_to(PETS)
        index.insert(PETS, [point(n) for n in range(PHOTOS)])
        for number in range(PHOTOS):
            image_id = record(number).image_id
            storage.store.put(original(image_id), f"photo {number}".encode())
            storage.store.put(thumbnail(image_id), f"thumb {number}".encode())
        ledger.create(NewJob("job", "a folder", NOW))
        slot = ledger.reserve_chunk("job", PHOTOS)
        ledger.add_chunk("job", slot.chunk_no, PHOTOS)
        ledger.take_chunks("job", 1, 60.0)
        ledger.account_chunk("job", slot.chunk_no, {ItemStatus.INGESTED: PHOTOS}, NOW)
        ledger.seal("job", NOW)
        ledger.create(NewJob("waits", "another folder", NOW))
        ledger.add_chunk("waits", ledger.reserve_chunk("waits", 3).chunk_no, 3)
        ledger.claim_call(CallKey("passing", "digest"), "a", 60.0)
    with open_keys(settings) as keys:
        keys.add(key.kept)
    return Source(settings, key.secret)


def restore(settings: Settings, place: Place, *, into_existing: bool = False) -> list[str]:
    said: list[str] = []
    with open_storage(settings) as storage:
        Restore(storage.kept, place, say=said.append).run(into_existing=into_existing)
    return said


def answers(settings: Settings) -> JsonDict:
    """What people see: ten rankings (without ties) with their scores, the jobs, the bytes."""
    with open_storage(settings) as storage:
        collection = storage.index.current()
        assert collection == PETS
        rankings = [
            storage.index.search(PETS, embedding(n / 3 + 0.013), limit=5, filters=Filters())
            for n in range(10)
        ]
        return {
            "records": [[hit.record for hit in hits] for hits in rankings],
            "scores": [[pytest.approx(hit.score, abs=1e-6) for hit in hits] for hits in rankings],
            "jobs": storage.ledger.newest(10),
            "waiting": storage.ledger.take_chunks("waits", 0, 1.0).chunk_nos,
            "photos": [storage.store.get(original(record(n).image_id)) for n in range(PHOTOS)],
            "filtered": storage.index.count(PETS, Filters(species=("cat",))),
        }


def test_a_restored_stack_gives_the_same_answers(
    source: Source, make: MakeSettings, tmp_path: Path
) -> None:
    place = Place(open_place(source.settings, str(tmp_path / "backup")).store)
    manifest = source.back_up(place)
    is_server = source.settings.index_url.startswith("http")
    assert manifest.index_form == ("snapshot" if is_server else "points")
    assert (manifest.points, manifest.jobs, manifest.keys) == (PHOTOS, 2, 1)
    assert manifest.objects == 2 * PHOTOS
    target = make("target")
    restore(target, place)
    assert answers(target) == answers(source.settings)
    with open_keys(target) as keys:
        found = keys.read().find(source.secret, NOW)
    assert found is not None
    assert found.name == "curator"


def test_what_expires_and_what_is_secret_is_not_in_it(source: Source, tmp_path: Path) -> None:
    source.back_up(open_place(source.settings, str(tmp_path / "backup")))
    ledger = (tmp_path / "backup/ledger.jsonl").read_text()
    assert "curator" in ledger
    assert "passing" not in ledger
    assert source.secret not in ledger
    assert source.secret.split("_", 2)[2] not in ledger


@pytest.mark.parametrize(
    "victim", ["manifest.json", "ledger.jsonl", "objects.jsonl", "index", "objects"]
)
def test_a_damaged_backup_is_refused_by_name_and_nothing_is_written(
    source: Source, make: MakeSettings, tmp_path: Path, victim: str
) -> None:
    folder = tmp_path / "backup"
    manifest = source.back_up(open_place(source.settings, str(folder)))
    if victim == "index":
        victim = next(p.name for p in manifest.parts if p.name[:5] in ("point", "snaps"))
    if victim == "objects":
        victim = f"objects/{original(record(3).image_id)}"
    data = bytearray((folder / victim).read_bytes())
    data[len(data) // 2] ^= 1
    (folder / victim).write_bytes(data)
    target = make("target")
    with pytest.raises(InvalidInput, match=f"damaged: {victim}"):
        restore(target, open_place(target, str(folder)))
    (folder / victim).unlink()
    with pytest.raises((InvalidInput, ConfigurationError), match=victim):
        restore(target, open_place(target, str(folder)))
    with open_storage(target) as storage:
        assert storage.index.current() is None
        assert storage.ledger.newest(1) == []
        assert list(storage.store.list_keys("")) == []


def test_it_is_not_restored_over_other_photos_unless_told(source: Source, tmp_path: Path) -> None:
    place = open_place(source.settings, str(tmp_path / "backup"))
    source.back_up(place)
    with pytest.raises(Conflict, match="--into-existing"):
        restore(source.settings, place)
    before = answers(source.settings)
    restore(source.settings, place, into_existing=True)
    assert answers(source.settings) == before


class CutOff:
    """A ledger that is away."""

    def __init__(self, kept: Kept) -> None:
        self._kept = kept

    def counts(self) -> tuple[int, int]:
        return self._kept.ledger.counts()

    def export(self) -> Iterator[JsonDict]:
        raise Unavailable("It is away.")

    def open_chunks(self, entries: Iterable[JsonDict]) -> Mapping[str, OpenChunks]:
        return self._kept.ledger.open_chunks(entries)

    def load(self, entries: Iterable[JsonDict]) -> None:
        next(iter(entries))
        raise Unavailable("It is away.")


def test_a_restore_that_was_cut_off_goes_on(
    source: Source, make: MakeSettings, tmp_path: Path
) -> None:
    place = open_place(source.settings, str(tmp_path / "backup"))
    source.back_up(place)
    target = make("target")
    with open_storage(target) as storage:
        kept = replace(storage.kept, ledger=CutOff(storage.kept))
        with pytest.raises(Unavailable):
            Restore(kept, place, say=lambda _: None).run(into_existing=False)
        assert storage.index.count(PETS, Filters()) == PHOTOS
    assert any("cut off" in line for line in restore(target, place))
    assert answers(target) == answers(source.settings)
    with open_storage(target) as storage:
        assert list(storage.store.list_keys("restores/")) == []


def test_a_backup_that_was_cut_off_is_none_and_its_place_is_not_used_again(
    source: Source, make: MakeSettings, tmp_path: Path
) -> None:
    place = open_place(source.settings, str(tmp_path / "backup"))
    with open_storage(source.settings) as storage:
        kept = replace(storage.kept, ledger=CutOff(storage.kept))
        place.put("ledger.jsonl", [b"{}\n"])
        with pytest.raises(Conflict, match="holds something"):
            Backup(kept, place, clock=lambda: NOW, say=lambda _: None).run(with_objects=False)
    with pytest.raises(ConfigurationError, match=MANIFEST):
        restore(make("target"), place)


def test_without_the_objects_it_says_which_are_missing(
    source: Source, make: MakeSettings, tmp_path: Path
) -> None:
    place = open_place(source.settings, str(tmp_path / "backup"))
    source.back_up(place, with_objects=False)
    assert not (tmp_path / "backup/objects").exists()
    assert any(f"{2 * PHOTOS} MISSING" in line for line in restore(make("target"), place))


def test_a_backup_lies_in_a_bucket_and_fits_another_shape(
    servers: MakeSettings, tmp_path: Path
) -> None:
    """From one process to servers, over S3: points are read by any index."""
    settings = servers("elsewhere")
    alone = Settings(
        index_url=f"edge:{tmp_path / 'index'}",
        store_url=f"file:{tmp_path / 'objects'}",
        redis_url=f"local:{tmp_path / 'redis'}",
        s3_access_key="testing",
        s3_secret_key="testing-secret",
    )
    bucket = settings.store_url.replace("elsewhere", "backups")
    with open_storage(alone) as storage:
        storage.index.create_collection(PETS, DIM)
        storage.index.point_alias_to(PETS)
        storage.index.insert(PETS, [point(n) for n in range(PHOTOS)])
        place = open_place(alone, f"{bucket}/nightly/1")
        Backup(storage.kept, place, clock=lambda: NOW, say=lambda _: None).run(with_objects=True)
    keys = {found.key for found in place.store.list_objects("")}
    assert {key.rpartition("/")[0] for key in keys} >= {"nightly/1", "nightly/1/points"}
    restore(settings, open_place(settings, f"{bucket}/nightly/1"))
    with open_storage(settings) as storage:
        assert storage.index.count(PETS, Filters()) == PHOTOS


def test_a_snapshot_is_refused_where_nothing_takes_it(
    servers: MakeSettings, tmp_path: Path
) -> None:
    settings = servers("server")
    with open_storage(settings) as storage:
        storage.index.create_collection(PETS, DIM)
        storage.index.point_alias_to(PETS)
        storage.index.insert(PETS, [point(0)])
        place = open_place(settings, str(tmp_path / "backup"))
        Backup(storage.kept, place, clock=lambda: NOW, say=lambda _: None).run(with_objects=True)
    alone = Settings(
        index_url=f"edge:{tmp_path / 'index'}",
        store_url=f"file:{tmp_path / 'objects'}",
        redis_url=f"local:{tmp_path / 'redis'}",
    )
    with pytest.raises(ConfigurationError, match="snapshot of a Qdrant server"):
        restore(alone, place)


class DeletingStore:
    """A store in which a photo is deleted once it was listed."""

    def __init__(self, storage: Storage, image_id: str) -> None:
        self._storage = storage
        self._image_id = image_id

    def __getattr__(self, name: str) -> object:
        return getattr(self._storage.store, name)

    def list_objects(self, prefix: str) -> Iterator[StoredObject]:
        found = list(self._storage.store.list_objects(prefix))
        if not prefix:
            writer = FanOutIndex(self._storage.index, self._storage.write_set)
            delete_images(writer, self._storage.store, PETS, [self._image_id])
        yield from found


@pytest.mark.parametrize("with_objects", [True, False], ids=["copied", "listed"])
def test_a_photo_that_is_deleted_once_it_was_listed_is_not_in_the_backup(
    source: Source, make: MakeSettings, tmp_path: Path, *, with_objects: bool
) -> None:
    deleted = record(3).image_id
    place = Place(open_place(source.settings, str(tmp_path / "backup")).store)
    with open_storage(source.settings) as storage:
        kept = replace(storage.kept, store=cast(ObjectStore, DeletingStore(storage, deleted)))
        made = Backup(kept, place, clock=lambda: NOW, say=lambda _: None)
        assert made.run(with_objects=with_objects).objects == 2 * (PHOTOS - 1)
    assert deleted not in (tmp_path / "backup/objects.jsonl").read_text()
    assert not any(deleted in path.name for path in (tmp_path / "backup").rglob("*"))
    missing = 0 if with_objects else 2 * (PHOTOS - 1)
    said = restore(make("target"), place)
    assert any("MISSING" in line for line in said) is bool(missing)


class DeletingIndex:
    """An index whose first photo is deleted once it was listed."""

    def __init__(self, index: RawIndex) -> None:
        self._index = index

    def __getattr__(self, name: str) -> object:
        return getattr(self._index, name)

    def list_ids(self, collection: str, *, after: str | None, limit: int) -> list[str]:
        ids = self._index.list_ids(collection, after=after, limit=limit)
        if self._index.count(PETS, Filters()) == PHOTOS:
            self._index.delete(collection, ids[:1])
        return ids


def test_a_photo_whose_point_is_deleted_once_it_was_listed_does_not_end_the_backup(
    source: Source, tmp_path: Path
) -> None:
    place = open_place(source.settings, str(tmp_path / "backup"))
    with open_storage(source.settings) as storage:
        kept = replace(storage.kept, index=cast(RawIndex, DeletingIndex(storage.index)))
        made = Backup(kept, place, clock=lambda: NOW, say=lambda _: None)
        manifest = made.run(with_objects=False)
    assert (manifest.points, manifest.dim) == (PHOTOS - 1, DIM)


class MovingStore:
    """A store in which ingest moves a staged photo to the originals once these were listed."""

    def __init__(self, store: ObjectStore, staged: str, kept: str) -> None:
        self._store = store
        self._staged = staged
        self._kept = kept

    def __getattr__(self, name: str) -> object:
        return getattr(self._store, name)

    def list_objects(self, prefix: str) -> Iterator[StoredObject]:
        for found in list(self._store.list_objects(prefix)):
            if not prefix and found.key > "originals0" and any(self._store.list_keys(self._staged)):
                self._store.move(self._staged, self._kept)
            yield found


def test_a_photo_that_is_moved_meanwhile_is_in_the_backup(source: Source, tmp_path: Path) -> None:
    staged, kept_as = staging("waits", 0), original(record(PHOTOS).image_id)
    place = open_place(source.settings, str(tmp_path / "backup"))
    with open_storage(source.settings) as storage:
        storage.store.put(staged, b"a photo that waits")
        moving = cast(ObjectStore, MovingStore(storage.store, staged, kept_as))
        kept = replace(storage.kept, store=moving)
        Backup(kept, place, clock=lambda: NOW, say=lambda _: None).run(with_objects=True)
        assert storage.store.get(kept_as)
    listed = (tmp_path / "backup/objects.jsonl").read_text()
    assert staged in listed or kept_as in listed
    assert b"a photo that waits" in {
        path.read_bytes() for path in (tmp_path / "backup/objects").rglob("*") if path.is_file()
    }


def test_what_is_added_while_jobs_are_read_is_whole_in_the_backup_or_not_at_all(
    private_redis: redis.Redis,
) -> None:
    ledger = RedisLedger(private_redis)
    for day, job_id in enumerate(("first", "second", "third")):
        ledger.create(NewJob(job_id, "test", NOW + timedelta(days=day)))
    exported = RedisCopy(private_redis).export()
    lines = [next(exported)]
    assert lines[0]["name"].startswith("petsearch:job:")
    for job_id in ("first", "second"):
        ledger.add_chunk(job_id, ledger.reserve_chunk(job_id, 1).chunk_no, 1)
    ledger.delete("third")
    ledger.create(NewJob("new", "test", NOW))
    lines += exported
    private_redis.flushdb()
    RedisCopy(private_redis).load(lines)
    assert ledger.active() == ["first", "second"]
    assert {job.job_id for job in ledger.newest(9)} == {"first", "second"}
    for job_id in ledger.active():
        taken = ledger.take_chunks(job_id, 9, 60).chunk_nos
        assert len(taken) == ledger.get(job_id).total, "what is counted is there to be done"


@pytest.fixture
def other_house(tmp_path: Path) -> Iterator[House]:
    """Where a backup of the house is restored."""
    (tmp_path / "other").mkdir()
    with open_house(tmp_path / "other") as opened:
        yield opened


def move(house: House, other: House, place: Place, meanwhile: Callable[[], object]) -> None:
    """Back a house up, and restore it elsewhere; `meanwhile`, once its index was read."""

    def say(step: str) -> None:
        if step.startswith("index"):
            meanwhile()

    kept = house.services.storage.kept
    Backup(kept, place, clock=lambda: NOW, say=say).run(with_objects=True)
    for _ in range(2):  # it may be repeated
        restoring = Restore(other.services.storage.kept, place, say=lambda _: None)
        restoring.run(into_existing=True)


def test_what_is_ingested_once_the_index_was_read_is_ingested_again(
    house: House, other_house: House, tmp_path: Path
) -> None:
    house.ingest(photo(9))
    broken = Upload(b"no picture", ImageMetadata(filename="broken.jpg"))
    job_id = house.open_job(photo(1, animal_id="rex"), broken, photo(9), photo(2))
    house.poison(2)
    place = open_place(house.services.settings, str(tmp_path / "backup"))
    move(house, other_house, place, house.deliver)
    assert other_house.count() == 1
    other_house.worker.work(job_id, 0)
    assert other_house.counts(job_id) == house.counts(job_id)
    assert other_house.outcomes(job_id) == house.outcomes(job_id)
    assert other_house.count() == 2
    assert other_house.record(photo(1).data).metadata.animal_id == "rex"


def test_what_is_added_to_a_restored_job_has_outcomes_of_its_own(
    house: House, other_house: House, tmp_path: Path
) -> None:
    house.ingest(photo(9))
    job_id = house.jobs.open("test").job_id

    def go_on() -> None:
        house.jobs.add_photos(job_id, [photo(1)], 1)
        house.run()

    move(house, other_house, open_place(house.services.settings, str(tmp_path / "backup")), go_on)
    assert other_house.outcomes(job_id) == []
    other_house.jobs.add_photos(job_id, [photo(2), photo(3)], 2)
    other_house.run()
    assert [outcome.filename for outcome in other_house.outcomes(job_id)] == ["2.jpg", "3.jpg"]
    assert other_house.count() == 3


def test_a_chunk_that_was_reserved_before_and_came_meanwhile_is_brought_again(
    house: House, other_house: House, tmp_path: Path
) -> None:
    house.ingest(photo(9))
    job_id, call = house.jobs.open("test").job_id, CallKey("a call", "what it says")
    house.ledger.reserve_chunk(job_id, 1, call=call)

    def bring() -> None:
        house.jobs.add_photos(job_id, [photo(1)], 1, call=call)
        house.run()

    place = open_place(house.services.settings, str(tmp_path / "backup"))
    move(house, other_house, place, bring)
    assert other_house.outcomes(job_id) == []
    other_house.jobs.add_photos(job_id, [photo(1)], 1, call=call)
    other_house.run()
    assert other_house.counts(job_id) == {"ingested": 1}
    assert other_house.count() == 2


def test_what_a_deleted_job_left_is_deleted_where_it_is_restored(
    house: House, other_house: House, tmp_path: Path
) -> None:
    house.ingest(photo(1))
    (job,) = house.jobs.newest(9)
    house.jobs.delete(job.job_id)
    place = open_place(house.services.settings, str(tmp_path / "backup"))
    move(house, other_house, place, lambda: None)
    assert list(other_house.store.list_keys("jobs/"))
    assert other_house.ledger.discards() == [job.job_id]
