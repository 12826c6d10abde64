"""Work that meets a limit on open files or threads is done later, and nothing counts as failed."""

import errno
from collections.abc import Iterator
from dataclasses import replace

import pytest

from petsearch.sources import Source, SourceItem
from tests import pictures
from tests.services.house import House, photo
from tests.services.test_enumeration import upload, zipped

LIMITS = (
    OSError(errno.EMFILE, "Too many open files"),
    RuntimeError("can't start new thread"),
)


@pytest.mark.parametrize("error", LIMITS, ids=str)
@pytest.mark.parametrize("call", ["get", "insert"])
def test_photos_are_ingested_later(house: House, call: str, error: Exception) -> None:
    left = 4

    def fail(name: str, _: str) -> None:
        nonlocal left
        if name == call and left:
            left -= 1
            raise error

    house.index.on_call = fail
    job_id = house.open_job(*(photo(seed) for seed in range(3)))
    house.run()
    assert house.counts(job_id) == {"ingested": 3}
    assert not left


@pytest.mark.parametrize("error", LIMITS, ids=str)
def test_a_source_is_read_later(house: House, error: Exception) -> None:
    class Short(Source):
        def read(self, cursor: str | None) -> Iterator[SourceItem]:
            assert cursor is None
            raise error
            yield

    job_id = upload(house, "archive", zipped({"1.jpg": pictures.jpeg(1)}))
    replace(house.enumerator, open_source=lambda _: Short()).work(job_id)
    assert "limit" in str(house.jobs.get(job_id).reason)
    house.queue.readings = [job_id]
    house.run()
    assert house.counts(job_id) == {"ingested": 1}
