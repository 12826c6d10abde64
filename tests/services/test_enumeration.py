"""Sources that the workers read: archives, manifests, data sets; a window at a time."""

import io
import json
import tarfile
import threading
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from petsearch.domain import ImageMetadata, ItemStatus, JobOptions, JobState
from petsearch.domain.errors import (
    InvalidInput,
    NotFound,
    Overloaded,
    ReaderLost,
    SourceUnavailable,
)
from petsearch.jobs.stored_specs import read_spec
from petsearch.sources import Source, SourceItem, open_source, parse_spec
from tests import pictures
from tests.services.house import House
from tests.sources import items_of


def zipped(names: dict[str, bytes]) -> io.BytesIO:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, data in names.items():
            archive.writestr(name, data)
    file.seek(0)
    return file


def upload(house: House, kind: str, file: io.BytesIO) -> str:
    assert kind in ("archive", "manifest")
    size = len(file.getvalue())
    return house.jobs.read_upload(kind, f"my.{kind}", file, size, JobOptions()).job_id  # type: ignore[arg-type]


def test_the_photos_of_an_archive_go_in_and_the_rest_is_accounted(house: House) -> None:
    names = {f"cats/{seed}.jpg": pictures.jpeg(seed) for seed in range(5)}
    names |= {"again.jpg": pictures.jpeg(0), "page.jpg": pictures.HTML, "../escape.jpg": b"x"}
    job_id = upload(house, "archive", zipped(names))
    house.run()
    job = house.jobs.get(job_id)
    assert house.counts(job_id) == {"ingested": 5, "duplicate": 1, "refused": 2}
    assert (job.state, job.total, job.source) == (JobState.PARTLY_FAILED, 8, "archive my.archive")
    assert house.count() == 5
    assert list(house.store.list_keys("staging/")) == []


def test_a_long_archive_is_read_a_window_at_a_time(house: House) -> None:
    photos = [pictures.jpeg(seed, 16, 12) for seed in range(10)]
    names = {f"{number:04}.jpg": photos[number % 10] for number in range(900)}
    job_id = upload(house, "archive", zipped(names))
    house.enumerator.work(job_id)
    job = house.jobs.get(job_id)
    most = house.dispatcher.options.most_open
    assert (job.total, len(house.queue.chunks)) == (64 * most, 4)
    assert not job.sealed
    house.queue.readings.clear()
    house.enumerator.work(job_id)
    assert house.jobs.get(job_id).total == 64 * most, "it is far enough ahead"
    house.run()
    job = house.jobs.get(job_id)
    assert (job.total, job.done, job.sealed) == (900, 900, True)
    assert house.counts(job_id) == {"ingested": 10, "duplicate": 890}


def test_a_reading_that_was_cut_off_goes_on_without_counting_twice(house: House) -> None:
    names = {f"{seed:02}.jpg": pictures.jpeg(seed, 16, 12) for seed in range(70)}
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w:gz") as archive:
        for name, data in names.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
    file.seek(0)
    job_id = upload(house, "archive", file)
    # A process that took the reading and staged some photos, and was killed.
    begun = house.ledger.begin_enumeration(job_id, "dead", 0.001, 8)
    assert begun is not None
    house.store.put("staging/" + job_id + "/0", b"half")
    house.queue.readings = [job_id]
    while house.jobs.get(job_id).total == 0:
        house.enumerator.work(job_id)
    house.run()
    assert house.counts(job_id) == {"ingested": 70}


def test_a_source_that_ends_its_readers_fails_the_job_at_the_third(house: House) -> None:
    job_id = upload(house, "archive", zipped({"1.jpg": pictures.jpeg(1)}))
    for _ in range(3):
        assert not house.jobs.get(job_id).sealed
        assert house.ledger.begin_enumeration(job_id, "dead", 60, 8) is not None
        house.ledger.end_leases(job_id)
    house.run()
    job = house.jobs.get(job_id)
    assert (job.state, job.total) == (JobState.FAILED, 0)
    assert "3 workers stopped" in str(job.reason)


def test_a_source_whose_processes_are_killed_fails_the_job_at_the_third(house: House) -> None:
    class Killed(Source):
        def read(self, cursor: str | None) -> Iterator[SourceItem]:
            raise ReaderLost(f"It was killed at {cursor}.", retry_after_s=0.0)
            yield

    job_id = upload(house, "archive", zipped({"1.jpg": pictures.jpeg(1)}))
    for _ in range(4):
        assert not house.jobs.get(job_id).sealed
        replace(house.enumerator, open_source=lambda _: Killed()).work(job_id)
        house.ledger.end_leases(job_id)
    job = house.jobs.get(job_id)
    assert job.state is JobState.FAILED
    assert "3 workers stopped" in str(job.reason)


def test_two_dead_readers_are_forgiven(house: House) -> None:
    job_id = upload(house, "archive", zipped({"1.jpg": pictures.jpeg(1)}))
    for _ in range(2):
        assert house.ledger.begin_enumeration(job_id, "dead", 60, 8) is not None
        house.ledger.end_leases(job_id)
    house.run()
    assert house.jobs.get(job_id).state is JobState.SUCCEEDED


def test_a_reader_that_stops_by_itself_is_not_counted_as_dead(house: House) -> None:
    job_id = upload(house, "archive", zipped({"1.jpg": pictures.jpeg(1)}))
    for _ in range(2):
        assert house.ledger.begin_enumeration(job_id, "dead", 60, 8) is not None
        house.ledger.end_leases(job_id)
    house.redis.hset(f"petsearch:job:{job_id}:chunks", "0", "1")  # another worker was faster
    stopping = threading.Event()
    stopping.set()
    replace(house.enumerator, stopping=stopping).work(job_id)
    begun = house.ledger.begin_enumeration(job_id, "next", 60, 8)
    assert begun is not None
    assert begun.deaths == 0


def test_a_long_list_of_urls_is_not_in_redis(house: House) -> None:
    urls = [f"http://127.0.0.1:9/{n}.jpg?{'x' * 500}" for n in range(200)]
    context = replace(house.jobs.sources, urls=house.jobs.sources.folders)
    jobs = replace(house.jobs, sources=context)
    job_id = jobs.read(parse_spec({"type": "urls", "urls": urls}), JobOptions()).job_id
    recorded = house.ledger.spec(job_id)
    assert recorded is not None
    assert len(recorded) < 200
    spec = parse_spec(read_spec(house.store, recorded))
    house_source = open_source(spec, context)
    assert [item.origin for item in items_of(house_source)] == [f"url:{url}" for url in urls]
    house.jobs.cancel(job_id)
    house.jobs.discard(job_id)
    assert list(house.store.list_keys("imports/")) == []


class Surprising(Source):
    """Raises what no source should."""

    def read(self, cursor: str | None) -> Iterator[SourceItem]:  # noqa: ARG002
        yield SourceItem(ImageMetadata("a.jpg"), "1", data=pictures.jpeg(1))
        raise ZeroDivisionError("a surprise")


def test_an_unexpected_error_of_a_source_fails_the_job(house: House) -> None:
    job_id = upload(house, "archive", zipped({"1.jpg": pictures.jpeg(1)}))
    replace(house.enumerator, open_source=lambda _: Surprising()).work(job_id)
    job = house.jobs.get(job_id)
    assert (job.state, job.total) == (JobState.FAILED, 0)
    assert "ZeroDivisionError" in str(job.reason)
    assert not house.ledger.take_chunks(job_id, 0, 60, most_open=9).wants_enumeration


def test_a_manifest_names_files_and_says_things_about_them(house: House, tmp_path: Path) -> None:
    for seed in range(2):
        (tmp_path / f"{seed}.jpg").write_bytes(pictures.jpeg(seed))
    rows = [
        {"path": str(tmp_path / "0.jpg"), "breed": "Maine_Coon", "animal_id": "A-1"},
        {"path": str(tmp_path / "1.jpg"), "tags": ["shy"]},
        {"path": str(tmp_path / "0.jpg")},
        {"path": str(tmp_path / "absent.jpg")},
        {"path": "/etc/passwd"},
        {"breed": "pug"},
    ]
    lines = "\n".join([*(json.dumps(row) for row in rows), "{broken"])
    job_id = upload(house, "manifest", io.BytesIO(lines.encode()))
    house.run()
    assert house.counts(job_id) == {"ingested": 2, "duplicate": 1, "refused": 3}
    record = house.record(pictures.jpeg(0))
    assert (record.breed, record.metadata.animal_id) == ("maine coon", "A-1")
    assert house.store.get("originals/" + record.image_id[:2] + "/" + record.image_id)
    reasons = [o.reason or "" for o in house.outcomes(job_id, ItemStatus.REFUSED)]
    assert all(reasons), reasons


def test_a_cell_that_does_not_fit_is_a_warning_beside_the_outcome(
    house: House, tmp_path: Path
) -> None:
    for seed in range(3):
        (tmp_path / f"{seed}.jpg").write_bytes(pictures.jpeg(seed))
    table = "Photos;Aufnahme;stauts;Breed\n0.jpg|1.jpg;17.13.2026;lost;Pug\n2.jpg;17.05.2026;;\n"
    (tmp_path / "pets.csv").write_text(table, encoding="cp1252")
    given = {
        "type": "manifest",
        "path": f"{tmp_path}/pets.csv",
        "columns": {"aufnahme": "taken_at"},
    }
    job_id = house.jobs.read(parse_spec(given), JobOptions()).job_id
    house.run()
    job = house.jobs.get(job_id)
    assert (job.state, house.counts(job_id), job.warned) == (
        JobState.SUCCEEDED,
        {"ingested": 3},
        2,
    )
    assert [entry.name for entry in job.left_out_names] == ["stauts (did you mean status?)"]
    (warning,) = house.outcomes(job_id)[0].warnings
    assert (warning.code, warning.field) == ("cell_ignored", "Aufnahme")
    assert warning.detail.startswith("Row 2: Aufnahme is '17.13.2026', which is not a date like")
    assert house.record(pictures.jpeg(2)).metadata.taken_at is not None
    assert house.record(pictures.jpeg(1)).breed == "pug"


def test_a_file_that_is_no_archive_is_refused_at_once(house: House) -> None:
    job_id = upload(house, "archive", io.BytesIO(b"this is no archive"))
    house.run()
    job = house.jobs.get(job_id)
    assert (job.state, job.total) == (JobState.FAILED, 0)
    assert "archive" in (job.reason or "")


def test_what_may_not_be_read_is_said_before_a_job_is_opened(house: House) -> None:
    for spec, setting in (
        ({"type": "archive", "path": "/etc/passwd"}, "PETSEARCH_IMPORT_DIRS"),
        ({"type": "urls", "urls": ["http://example.org/cat.jpg"]}, "PETSEARCH_URL_INGEST"),
        ({"type": "s3", "bucket": "photos"}, "run petsearch as services"),
    ):
        with pytest.raises(InvalidInput, match=setting):
            house.jobs.read(parse_spec(spec), JobOptions())
    assert house.jobs.newest(5) == []


def test_an_upload_whose_job_cannot_be_opened_is_deleted(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("petsearch.adapters.redis.ledger.MOST_OPEN_JOBS", 0)
    with pytest.raises(Overloaded):
        upload(house, "archive", zipped({"1.jpg": pictures.jpeg(1)}))
    urls = [f"http://127.0.0.1:9/{n}.jpg?{'x' * 500}" for n in range(200)]
    context = replace(house.jobs.sources, urls=house.jobs.sources.folders)
    with pytest.raises(Overloaded):
        jobs = replace(house.jobs, sources=context)
        jobs.read(parse_spec({"type": "urls", "urls": urls}), JobOptions())
    assert list(house.store.list_keys("imports/")) == []


def test_a_cancelled_job_is_not_read_on(house: House) -> None:
    names = {f"{number:04}.jpg": pictures.jpeg(number % 3, 16, 12) for number in range(900)}
    job_id = upload(house, "archive", zipped(names))
    house.enumerator.work(job_id)
    house.jobs.cancel(job_id)
    total = house.jobs.get(job_id).total
    house.queue.readings = [job_id]
    house.run()
    assert house.jobs.get(job_id).total == total
    house.jobs.discard(job_id)
    assert list(house.store.list_keys("staging/")) == []
    assert list(house.store.list_keys("imports/")) == []


@pytest.mark.parametrize("fails", [None, InvalidInput("This is no archive.")])
def test_a_job_that_is_deleted_while_its_source_is_opened_is_gone(
    house: House, fails: InvalidInput | None
) -> None:
    job_id = house.jobs.open("data set", spec="{}").job_id

    class SlowToOpen:
        def count(self) -> int:
            house.jobs.cancel(job_id)
            house.jobs.delete(job_id)
            if fails:
                raise fails
            return 1

        def read(self, _: str | None) -> Iterator[SourceItem]:
            yield SourceItem(ImageMetadata(), "1", data=pictures.jpeg(1))

    replace(house.enumerator, open_source=lambda _: SlowToOpen()).work(job_id)
    with pytest.raises(NotFound):
        house.jobs.get(job_id)
    assert (house.jobs.newest(5), house.ledger.active()) == ([], [])


def test_a_site_that_is_away_stops_its_own_job_alone(house: House) -> None:
    job_id = house.jobs.open("data set", spec="{}").job_id
    away = True

    class OnAnotherSite:
        def count(self) -> int:
            return 1

        def read(self, _: str | None) -> Iterator[SourceItem]:
            if away:
                raise SourceUnavailable("The hub does not answer.", retry_after_s=0.0)
            yield SourceItem(ImageMetadata("1.jpg"), "1", data=pictures.jpeg(1))

    enumerator = replace(house.enumerator, open_source=lambda _: OnAnotherSite())
    enumerator.work(job_id)
    job = house.jobs.get(job_id)
    assert (job.state, job.reason) == (JobState.PAUSED, "The hub does not answer.")
    assert enumerator.breaker.reason is None, "other jobs go on"
    away = False
    enumerator.work(job_id)
    assert house.jobs.get(job_id).reason is None
