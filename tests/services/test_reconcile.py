"""Reconcile over real parts: every kind of damage is found, mended and then gone."""

import uuid
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import pytest
import redis
from qdrant_client import QdrantClient

from petsearch.adapters.objects import FilesystemStore, minio
from petsearch.adapters.qdrant.edge_index import QdrantEdgeIndex
from petsearch.adapters.qdrant.index import QdrantIndex
from petsearch.adapters.redis import RedisLedger, RedisWriteSet
from petsearch.catalogue import delete_images
from petsearch.domain import ImageRecord, NewJob, Point, image_id_of, object_keys, sha256_of
from petsearch.domain.errors import Conflict, NotFound, Unavailable
from petsearch.maintenance import Damage, Reconciler, Report, reconcile
from petsearch.photos import ImageLimits, decode
from petsearch.photos.copies import display_copy, thumbnail
from petsearch.ports import ObjectStore
from petsearch.ports.raw_index import RawIndex
from petsearch.reindex import FanOutIndex, WriteSet
from tests import pictures
from tests.contract.records import DIM, embedding, record
from tests.decoding import decoders

PETS = "pets-model-0"
HOURS = timedelta(hours=1)
DAYS = timedelta(days=1)


@dataclass
class House:
    """Index, store and ledger, with whole images in them, and ways to break them."""

    index: RawIndex
    writer: FanOutIndex
    store: ObjectStore
    ledger: RedisLedger

    def bring(self, seed: int) -> str:
        """An image as ingest leaves it; its id."""
        data = pictures.jpeg(seed)
        image_id = image_id_of(sha256_of(data))
        self.store.put(object_keys.original(image_id), data)
        self.index_again([image_id])
        return image_id

    def index_again(self, image_ids: Sequence[str]) -> None:
        """What the worker does with an original."""
        for image_id in image_ids:
            data = self.store.get(object_keys.original(image_id))
            picture = decode.decode(data, ImageLimits()).picture
            self.store.put(object_keys.display(image_id), display_copy(picture))
            self.store.put(object_keys.thumbnail(image_id), thumbnail(picture))
            now = datetime.now(UTC)
            kept = replace(record(0), image_id=image_id, created_at=now, updated_at=now)
            self.index.insert(PETS, [Point(kept, embedding(0.1))])

    def reconciler(self, later: timedelta) -> Reconciler:
        """One that runs so much later."""
        return Reconciler(
            index=self.index,
            writer=self.writer,
            store=self.store,
            ledger=self.ledger,
            collection=PETS,
            decoders=decoders(),
            clock=lambda: datetime.now(UTC) + later,
        )

    def report(self, later: timedelta = 2 * HOURS) -> Report:
        """What is wrong."""
        return self.reconciler(later).report()

    def fix(self, later: timedelta = 2 * HOURS) -> Report:
        """Mend it, with a worker at hand."""
        return self.reconciler(later).fix(self.index_again)

    def has_point(self, image_id: str) -> bool:
        """Whether it is indexed."""
        return bool(self.index.get(PETS, [image_id]))

    def objects(self) -> list[str]:
        """Everything in the store."""
        return list(self.store.list_keys(""))


@pytest.fixture(params=["folders", "servers"])
def house(
    request: pytest.FixtureRequest, tmp_path: Path, private_redis: redis.Redis, s3_url: str
) -> Iterator[House]:
    if request.param == "folders":
        index: RawIndex = QdrantEdgeIndex(tmp_path / "index")
        store: ObjectStore = FilesystemStore(tmp_path / "objects")
    else:
        # It keeps no payload indexes, and says so.
        warnings.filterwarnings("ignore", message="Payload indexes have no effect")
        index = QdrantIndex(QdrantClient(":memory:"))
        store = minio.open_bucket(
            f"{s3_url}/b-{uuid.uuid4().hex[:8]}", access_key="testing", secret_key="testing-secret"
        )
    index.create_collection(PETS, DIM)
    writer = FanOutIndex(index, WriteSet(RedisWriteSet(private_redis)))
    yield House(index, writer, store, RedisLedger(private_redis))
    index.close()


def _counts(report: Report) -> dict[Damage, int]:
    return {damage: count for damage, count in report.counts.items() if count}


def _lose_point(house: House, image_id: str) -> None:
    house.index.delete(PETS, [image_id])


def _lose(*key_of: Callable[[str], str]) -> Callable[[House, str], None]:
    def lose(house: House, image_id: str) -> None:
        for key in key_of:
            house.store.delete(key(image_id))

    return lose


def _empty(key_of: Callable[[str], str]) -> Callable[[House, str], None]:
    """As a power cut leaves the newest files."""
    return lambda house, image_id: house.store.put(key_of(image_id), b"")


def _lose_all_but_copies(house: House, image_id: str) -> None:
    _lose_point(house, image_id)
    house.store.delete(object_keys.original(image_id))


def _begin_delete(house: House, image_id: str) -> None:
    """All that a delete does which is cut off after its first step."""
    breaking = _BreakingIndex(house.index)
    with pytest.raises(Unavailable):
        delete_images(breaking, house.store, PETS, [image_id])  # type: ignore[arg-type]


class _BreakingIndex:
    """The real index, which cannot delete."""

    def __init__(self, index: RawIndex) -> None:
        self._index = index

    def get(self, collection: str, image_ids: Sequence[str]) -> dict[str, ImageRecord]:
        """See `IndexWriter.get`."""
        return self._index.get(collection, image_ids)

    def delete_everywhere(self, *_: object) -> None:
        """See `IndexWriter.delete_everywhere`."""
        raise Unavailable("cut off")


def _delete_point_only(house: House, image_id: str) -> None:
    _begin_delete(house, image_id)
    _lose_point(house, image_id)


def _leave_tombstone_only(house: House, image_id: str) -> None:
    delete_images(house.writer, house.store, PETS, [image_id])
    _begin_delete(house, image_id)


DAMAGES = [
    (_lose_point, Damage.MISSING_POINT, True),
    (_lose(object_keys.display), Damage.MISSING_COPY, True),
    (_lose(object_keys.thumbnail), Damage.MISSING_COPY, True),
    (_lose(object_keys.display, object_keys.thumbnail), Damage.MISSING_COPY, True),
    (_empty(object_keys.display), Damage.MISSING_COPY, True),
    (_empty(object_keys.thumbnail), Damage.MISSING_COPY, True),
    (_lose(object_keys.original), Damage.LOST_ORIGINAL, False),
    (
        _lose(object_keys.original, object_keys.display, object_keys.thumbnail),
        Damage.LOST_ORIGINAL,
        False,
    ),
    (_lose_all_but_copies, Damage.ORPHAN_COPY, False),
    (_begin_delete, Damage.HALF_DELETED, False),
    (_delete_point_only, Damage.HALF_DELETED, False),
    (_leave_tombstone_only, Damage.HALF_DELETED, False),
]


def test_where_all_is_whole_nothing_is_found(house: House) -> None:
    for seed in range(3):
        house.bring(seed)
    report = house.report()
    assert (report.images, report.found, report.left_alone) == (3, 0, 0)


@pytest.mark.parametrize(("damage", "name", "survives"), DAMAGES)
def test_damage_is_found_mended_and_gone(
    house: House, damage: Callable[[House, str], None], name: Damage, *, survives: bool
) -> None:
    others = [house.bring(seed) for seed in range(1, 4)]
    broken = house.bring(0)
    whole = house.objects()
    damage(house, broken)
    left = house.objects()

    report = house.report()
    assert _counts(report) == {name: 1}
    assert [(f.damage, f.name, f.fixed) for f in report.findings] == [(name, broken, False)]
    assert house.objects() == left, "a report changed something"

    fixed = house.fix()
    assert (_counts(fixed), fixed.fixed) == ({name: 1}, 1)
    again = house.report()
    assert (again.found, again.images) == (0, 4 if survives else 3)
    assert house.has_point(broken) is survives
    assert house.objects() == [key for key in whole if survives or broken not in key]
    assert all(house.has_point(other) for other in others)


def test_all_damage_at_once_is_mended_in_one_run(house: House) -> None:
    house.bring(100)
    for seed, (damage, _, _) in enumerate(DAMAGES):
        damage(house, house.bring(seed))
    assert house.report().found == len(DAMAGES)
    assert house.fix().fixed == len(DAMAGES)
    assert house.report().found == 0


def test_what_may_be_under_way_is_left_alone(house: House) -> None:
    house.bring(100)
    for seed, (damage, _, _) in enumerate(DAMAGES):
        damage(house, house.bring(seed))
    before = house.objects()
    report = house.fix(later=timedelta(minutes=30))
    assert (report.found, report.left_alone) == (0, len(DAMAGES))
    assert house.objects() == before


def test_what_a_clock_that_was_ahead_has_written_is_not_under_way(house: House) -> None:
    house.bring(100)
    for seed, (damage, _, _) in enumerate(DAMAGES):
        damage(house, house.bring(seed))
    report = house.fix(later=-24 * HOURS)
    assert (report.fixed, report.left_alone) == (len(DAMAGES), 0)


def test_an_image_that_came_again_after_its_delete_began_stays(house: House) -> None:
    image_id = house.bring(0)
    _begin_delete(house, image_id)
    (kept,) = house.index.get(PETS, [image_id]).values()
    later = datetime.now(UTC) + timedelta(minutes=5)
    house.index.replace_records(PETS, [replace(kept, updated_at=later)])
    house.store.delete(object_keys.thumbnail(image_id))
    assert _counts(house.fix(later=3 * HOURS)) == {Damage.HALF_DELETED: 1}
    assert house.has_point(image_id)
    assert house.report(later=3 * HOURS).found == 0


def test_an_original_that_is_no_picture_is_said(house: House) -> None:
    broken, other = house.bring(0), house.bring(1)
    house.store.put(object_keys.original(broken), b"no picture")
    house.store.delete(object_keys.display(broken))
    house.store.delete(object_keys.display(other))
    report = house.fix()
    problems = {finding.name: finding.problem for finding in report.findings}
    assert report.fixed == 1
    assert problems[other] is None
    assert "not a picture" in str(problems[broken])


def test_old_uploads_of_finished_or_lost_jobs_are_deleted(house: House) -> None:
    house.bring(0)
    now = datetime.now(UTC)
    for job_id in ("running", "over"):
        house.ledger.create(NewJob(job_id, "test", now))
    house.ledger.seal("over", now)
    for job_id in ("running", "over", "gone"):
        for item_no in range(2):
            house.store.put(object_keys.staging(job_id, item_no), b"x")
    assert house.report(later=6 * DAYS).found == 0
    report = house.fix(later=8 * DAYS)
    assert (_counts(report), report.staged) == ({Damage.STALE_STAGING: 4}, 6)
    assert list(house.store.list_keys("staging/")) == ["staging/running/0", "staging/running/1"]
    assert house.report(later=8 * DAYS).found == 0


def test_what_jobs_left_is_deleted_once_they_are_gone(house: House) -> None:
    house.bring(0)
    now = datetime.now(UTC)
    house.ledger.create(NewJob("over", "test", now))
    house.ledger.seal("over", now)
    for job_id in ("over", "gone"):
        house.store.put(object_keys.import_file(job_id, "archive"), b"x")
        house.store.put(object_keys.chunk(job_id, 0), b"[]")
        house.store.put(object_keys.outcomes(job_id, 0), b"[]")
    assert house.report(later=6 * DAYS).found == 0
    assert _counts(house.fix(later=8 * DAYS)) == {Damage.STALE_STAGING: 3}
    left = [*house.store.list_keys("imports/"), *house.store.list_keys("jobs/")]
    assert [object_keys.job_of(key) for key in left] == ["over"] * 3
    assert house.report(later=8 * DAYS).found == 0


def test_a_store_that_is_not_the_indexs_is_not_mended(house: House) -> None:
    image_id = house.bring(0)
    house.store.delete(object_keys.original(image_id))
    with pytest.raises(Conflict, match="Nothing was changed"):
        house.fix()
    assert house.has_point(image_id)


def test_objects_that_are_not_ours_are_left_alone(house: House) -> None:
    house.bring(0)
    for key in ("originals/aa/notes.txt", "display/00/.keep.jpg", "tombstones/x"):
        house.store.put(key, b"x")
    before = house.objects()
    assert house.fix().found == 0
    assert house.objects() == before


def test_more_than_a_page_is_compared_and_named_up_to_a_bound(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("petsearch.ports.index._IDS_AT_A_TIME", 4)
    monkeypatch.setattr(reconcile, "MOST_FINDINGS", 3)
    for seed in range(11):
        image_id = house.bring(seed)
        if seed % 2:
            _lose_point(house, image_id)
    report = house.report()
    assert (report.images, report.found, len(report.findings)) == (11, 5, 3)


class BreakingStore:
    """The real store, until so many changes were made."""

    def __init__(self, store: ObjectStore, changes: int) -> None:
        self._store = store
        self._left = changes

    def put(self, key: str, data: bytes) -> None:
        """See `ObjectStore.put`."""
        self._count()
        self._store.put(key, data)

    def delete(self, key: str) -> None:
        """See `ObjectStore.delete`."""
        self._count()
        self._store.delete(key)

    def check_delete(self, keys: Iterable[str]) -> None:
        """See `ObjectStore.check_delete`."""
        self._store.check_delete(keys)

    def _count(self) -> None:
        if not self._left:
            raise Unavailable("cut off")
        self._left -= 1


@pytest.mark.parametrize("changes", range(5))
def test_a_delete_that_is_cut_off_anywhere_is_finished(house: House, changes: int) -> None:
    house.bring(1)
    image_id = house.bring(0)
    breaking = BreakingStore(house.store, changes)
    with pytest.raises(Unavailable):
        delete_images(house.writer, breaking, PETS, [image_id])  # type: ignore[arg-type]
    house.fix()
    assert house.report().found == 0
    # Cut off before it left a trace, it did not happen.
    assert house.has_point(image_id) is (changes == 0)
    assert any(image_id in key for key in house.objects()) is (changes == 0)


class Meanwhile:
    """The real store or index, beside which somebody acts just before the first such calls."""

    def __init__(
        self, part: ObjectStore | RawIndex, call: tuple[str, str], *acts: Callable[[], None]
    ) -> None:
        self._part = part
        self._call = call
        self._acts = iter(acts)

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._part, name)

        def call(first: str, *arguments: Any, **options: Any) -> Any:
            if (name, first) == self._call:
                next(self._acts, _nothing)()
            return found(first, *arguments, **options)

        return call


def _nothing() -> None:
    """Nobody acts."""


@pytest.mark.parametrize(
    ("damage", "call", "key_of"),
    [
        (_lose(object_keys.thumbnail), "find", object_keys.tombstone),
        (_lose(object_keys.thumbnail), "find", object_keys.original),
        (_lose(object_keys.thumbnail), "find", object_keys.display),
        (_lose(object_keys.thumbnail), "find", object_keys.thumbnail),
        (_lose(object_keys.thumbnail), "get", object_keys.original),
        (_begin_delete, "get", object_keys.tombstone),
    ],
)
def test_an_image_that_is_deleted_while_it_is_looked_at_or_mended_is_no_damage(
    house: House, damage: Callable[[House, str], None], call: str, key_of: Callable[[str], str]
) -> None:
    house.bring(1)
    image_id = house.bring(0)
    damage(house, image_id)
    store = house.store
    house.store = cast(
        ObjectStore,
        Meanwhile(
            store,
            (call, key_of(image_id)),
            lambda: delete_images(house.writer, store, PETS, [image_id]),
        ),
    )
    report = house.fix()
    assert (report.found, report.images) == (0, 2)
    assert not house.has_point(image_id)
    assert not any(image_id in key for key in house.objects())


def test_a_delete_that_goes_on_from_one_look_to_the_next_is_no_damage(house: House) -> None:
    house.bring(1)
    image_id = house.bring(0)
    house.store.delete(object_keys.thumbnail(image_id))
    tombstone = object_keys.tombstone(image_id)
    index, store = house.index, house.store

    def begin() -> None:
        store.put(tombstone, b"")
        index.delete(PETS, [image_id])

    def finish() -> None:
        delete_images(house.writer, store, PETS, [image_id])

    house.index = cast(RawIndex, Meanwhile(index, ("get", PETS), begin))
    house.store = cast(ObjectStore, Meanwhile(store, ("find", tombstone), _nothing, finish))
    assert house.report().found == 0


def test_deleting_leaves_nothing(house: House) -> None:
    kept, *deleted = (house.bring(seed) for seed in range(3))
    absent = image_id_of(sha256_of(b"absent"))
    delete_images(house.writer, house.store, PETS, [*deleted, absent])
    assert [image_id for image_id in deleted if house.has_point(image_id)] == []
    assert house.has_point(kept)
    assert all(kept in key for key in house.objects())
    with pytest.raises(NotFound):
        house.store.get(object_keys.tombstone(absent))
