"""What every object store does, on a disk and over S3."""

import io
import os
import random
import uuid
from pathlib import Path
from typing import BinaryIO, cast

import pytest

from petsearch.adapters.objects import FilesystemStore, minio
from petsearch.domain.errors import ConfigurationError, InvalidInput, NotFound, Unavailable
from petsearch.ports import ObjectStore
from tests.contract.real_servers import where_set

KEY = "thumbs/0a/cat.jpg"
MIB = 1024 * 1024


@pytest.fixture(
    params=["filesystem", "s3 over http", *where_set("PETSEARCH_TEST_S3_URL", "s3 server")]
)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> ObjectStore:
    if request.param == "filesystem":
        return FilesystemStore(tmp_path)
    if request.param == "s3 over http":
        url = request.getfixturevalue("s3_url")
    else:
        url = os.environ["PETSEARCH_TEST_S3_URL"]
    return minio.open_bucket(
        f"{url}/bucket-{uuid.uuid4().hex[:8]}",
        access_key=os.environ.get("PETSEARCH_S3_ACCESS_KEY", "testing"),
        secret_key=os.environ.get("PETSEARCH_S3_SECRET_KEY", "testing-secret"),
    )


def test_bytes_come_back(store: ObjectStore) -> None:
    store.put(KEY, b"\x00\xff meow")
    assert store.get(KEY) == b"\x00\xff meow"
    with store.open(KEY) as file:
        assert (file.read(2), file.read(), file.read()) == (b"\x00\xff", b" meow", b"")


def test_reading_begins_where_it_is_told_to(store: ObjectStore) -> None:
    store.put(KEY, b"0123456789")
    with store.open(KEY, offset=7) as file:
        assert file.read() == b"789"


def test_an_object_is_replaced_whole(store: ObjectStore) -> None:
    store.put(KEY, b"a long first version")
    store.put(KEY, b"short")
    assert store.get(KEY) == b"short"


def test_an_empty_object_is_an_object(store: ObjectStore) -> None:
    store.put(KEY, b"")
    assert store.get(KEY) == b""
    assert store.stat(KEY).size_bytes == 0


def test_size_and_time_are_known_without_reading(store: ObjectStore) -> None:
    store.put(KEY, b"12345")
    found = store.stat(KEY)
    assert store.find(KEY) == found
    assert (found.key, found.size_bytes) == (KEY, 5)
    assert found.modified_at.tzinfo is not None


def test_what_is_not_there_is_not_found(store: ObjectStore) -> None:
    for call in (store.get, store.open, store.stat):
        with pytest.raises(NotFound, match="absent"):
            call("absent/key")
    assert store.find("absent/key") is None
    with pytest.raises(NotFound):
        store.move("absent/key", KEY)
    store.delete("absent/key")


def test_a_move_replaces_its_target(store: ObjectStore) -> None:
    store.put("staging/1", b"new")
    store.put(KEY, b"old")
    store.move("staging/1", KEY)
    assert store.get(KEY) == b"new"
    with pytest.raises(NotFound):
        store.stat("staging/1")


def test_a_deleted_object_is_gone(store: ObjectStore) -> None:
    store.put(KEY, b"x")
    store.delete(KEY)
    store.delete(KEY)
    with pytest.raises(NotFound):
        store.get(KEY)


def test_keys_are_listed_in_order_by_prefix(store: ObjectStore) -> None:
    for key in ("jobs/b/2", "jobs/a/10", "jobs/a/1", "thumbs/a/1", "jobs/ab"):
        store.put(key, b"x")
    assert list(store.list_keys("jobs/a/")) == ["jobs/a/1", "jobs/a/10"]
    assert list(store.list_keys("jobs/a")) == ["jobs/a/1", "jobs/a/10", "jobs/ab"]
    assert list(store.list_keys("nothing/")) == []


def test_keys_are_listed_in_the_order_of_their_text(store: ObjectStore) -> None:
    # A folder and a file of nearly the same name are where a walk over folders goes astray.
    keys = ["a-b", "a/b-c/1", "a/b/1", "a/b0", "a0", "ab", "z/ä/1", "ä"]
    for key in reversed(keys):
        store.put(key, b"x")
    assert list(store.list_keys("")) == keys
    assert list(store.list_keys("a/b")) == ["a/b-c/1", "a/b/1", "a/b0"]


def test_objects_are_listed_with_size_and_time(store: ObjectStore) -> None:
    store.put("staging/1", b"12")
    store.put("staging/2", b"")
    found = list(store.list_objects("staging/"))
    assert [(one.key, one.size_bytes) for one in found] == [("staging/1", 2), ("staging/2", 0)]
    assert found[0].modified_at == store.stat("staging/1").modified_at
    assert list(store.list_objects("nothing/")) == []


def test_a_listing_goes_on_while_objects_are_deleted(store: ObjectStore) -> None:
    for number in range(5):
        store.put(f"staging/{number}", b"x")
    seen = []
    for found in store.list_objects("staging/"):
        seen.append(found.key)
        store.delete(found.key)
    assert len(seen) == 5
    assert list(store.list_keys("staging/")) == []


@pytest.mark.parametrize("size", [0, 10, 16 * MIB, 20 * MIB + 3])
@pytest.mark.parametrize("known", [True, False])
def test_a_stream_is_stored_whole(store: ObjectStore, size: int, *, known: bool) -> None:
    data = random.Random(size).randbytes(size)
    store.put_stream(KEY, io.BytesIO(data), size if known else None)
    assert store.get(KEY) == data
    assert list(store.list_keys("")) == [KEY]


@pytest.mark.parametrize("size", [1, 17 * MIB])
@pytest.mark.parametrize("error", [-1, 1])
def test_a_stream_of_another_size_is_not_stored(store: ObjectStore, size: int, error: int) -> None:
    store.put(KEY, b"before")
    with pytest.raises(InvalidInput, match="bytes"):
        store.put_stream(KEY, io.BytesIO(bytes(size)), size + error)
    assert store.get(KEY) == b"before"
    assert list(store.list_keys("")) == [KEY]


class WatchedStream(io.RawIOBase):
    """Zeros that break off at the end; remembers the most that was asked for at a time."""

    def __init__(self, size: int) -> None:
        self._left = size
        self.most = 0

    def read(self, count: int = -1) -> bytes:
        """At most `count` zeros."""
        assert count >= 0, "everything was asked for at once"
        if not self._left:
            raise ConnectionResetError("the other side went away")
        self.most = max(self.most, count)
        count = min(count, self._left)
        self._left -= count
        return bytes(count)


def test_a_stream_that_breaks_is_not_stored(store: ObjectStore) -> None:
    stream = WatchedStream(40 * MIB)
    with pytest.raises(Unavailable, match="went away"):
        store.put_stream(KEY, cast(BinaryIO, stream), None)
    assert list(store.list_keys("")) == []
    assert stream.most <= 16 * MIB + 1


@pytest.mark.parametrize("key", ["", "/etc/passwd", "a//b", "../up", "a/../b", "a/./b", "nul\0"])
def test_what_is_no_key_is_refused(store: ObjectStore, key: str) -> None:
    for call in (store.get, store.stat, store.delete, store.open):
        with pytest.raises(InvalidInput, match="not a valid object key"):
            call(key)
    with pytest.raises(InvalidInput):
        store.put(key, b"x")


def test_a_local_path_holds_the_same_bytes(store: ObjectStore) -> None:
    store.put(KEY, b"meow")
    path = store.local_path(KEY)
    assert path is None or path.read_bytes() == b"meow"


def test_it_answers(store: ObjectStore) -> None:
    store.ping()


def test_a_server_that_is_not_there_is_unavailable() -> None:
    absent = minio.open_bucket("s3+http://127.0.0.1:9/pets", access_key="key", secret_key="secret")
    with pytest.raises(Unavailable, match="does not answer"):
        absent.put(KEY, b"x")
    with pytest.raises(Unavailable):
        absent.ping()


@pytest.mark.parametrize("url", ["s3+http:///bucket", "s3+http://host:9000", "s3+http://h/a/b"])
def test_an_address_without_host_or_bucket_is_refused(url: str) -> None:
    with pytest.raises(ConfigurationError, match="PETSEARCH_STORE_URL"):
        minio.open_bucket(url, access_key="key", secret_key="secret")
