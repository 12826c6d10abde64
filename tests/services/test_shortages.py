"""Work that meets a limit on open files or threads is done later, and nothing counts as failed."""

import errno

import pytest

from tests.services.house import House, photo

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
