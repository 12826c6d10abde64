"""Jobs that read from an S3 server: prefixes, single objects, and archives in the object store."""

import io
import os
import threading
import unicodedata
import uuid
import zipfile
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from minio import Minio

from petsearch.adapters.objects import minio, s3_reader
from petsearch.adapters.objects.s3_reader import S3Reader
from petsearch.domain.errors import InvalidInput, NotFound, TooLarge, Unavailable
from petsearch.sources.archive import ArchiveSource
from petsearch.sources.object_file import open_object
from petsearch.sources.s3_prefix import AllowedBuckets, S3PrefixSource
from tests import pictures
from tests.contract.real_servers import where_set
from tests.sources import items_of

ACCESS_KEY = os.environ.get("PETSEARCH_S3_ACCESS_KEY", "testing")
SECRET_KEY = os.environ.get("PETSEARCH_S3_SECRET_KEY", "testing-secret")
MORE_THAN_A_PAGE = 1010


@pytest.fixture(
    scope="module", params=["s3 over http", *where_set("PETSEARCH_TEST_S3_URL", "s3 server")]
)
def server_url(request: pytest.FixtureRequest) -> str:
    if request.param == "s3 server":
        return os.environ["PETSEARCH_TEST_S3_URL"]
    url: str = request.getfixturevalue("s3_url")
    return url


@pytest.fixture(scope="module")
def client(server_url: str) -> Minio:
    made, _ = minio.make_client(
        f"{server_url}/unused", access_key=ACCESS_KEY, secret_key=SECRET_KEY
    )
    return made


@pytest.fixture(scope="module")
def bucket(client: Minio) -> str:
    """Photos in two folders, and what lies beside photos."""
    name = f"import-{uuid.uuid4().hex[:8]}"
    client.make_bucket(name)
    others = ["cats/", "cats/.hidden.jpg", "cats/notes.txt", "cats/more.zip", "dogs/1.jpg"]
    for key in ("cats/a b.jpg", "cats/Ä.png", "cats/z/deep.webp", *others):
        client.put_object(name, key, io.BytesIO(key.encode()), len(key.encode()))
    client.put_object(name, "cats/large.jpg", io.BytesIO(bytes(2000)), 2000)
    return name


@pytest.fixture
def reader(server_url: str) -> S3Reader:
    return s3_reader.open_reader(
        f"{server_url}/unused", access_key=ACCESS_KEY, secret_key=SECRET_KEY
    )


@pytest.fixture
def buckets(reader: S3Reader, bucket: str) -> AllowedBuckets:
    return AllowedBuckets(reader, [bucket, "not-there"])


def test_photos_under_a_prefix_are_items_by_key(buckets: AllowedBuckets, bucket: str) -> None:
    items = items_of(S3PrefixSource(buckets, bucket, "cats/", max_bytes=1000))
    assert [(i.metadata.filename, i.refusal is None) for i in items] == [
        ("a b.jpg", True),
        ("large.jpg", False),
        ("more.zip", False),
        ("deep.webp", True),
        ("Ä.png", True),
    ]
    assert [i.size_bytes for i in items][:2] == [12, 2000]
    for item in items:
        if item.origin:
            key = item.origin.removeprefix(f"s3:{bucket}/")
            assert buckets.fetch(item.origin, max_bytes=1000) == key.encode()


def test_accents_in_a_key_may_be_composed_or_not(buckets: AllowedBuckets, bucket: str) -> None:
    composed, decomposed = (unicodedata.normalize(form, "cats/Ä.png") for form in ("NFC", "NFD"))
    assert composed != decomposed
    for key in (composed, decomposed):
        assert buckets.fetch(f"s3:{bucket}/{key}", max_bytes=1000).decode() in {
            composed,
            decomposed,
        }


def test_reading_on_from_any_key_gives_the_rest(buckets: AllowedBuckets, bucket: str) -> None:
    source = S3PrefixSource(buckets, bucket, "", max_bytes=1000)
    whole = items_of(source)
    assert len(whole) == 6
    for position, item in enumerate(whole):
        assert items_of(source, item.cursor) == whole[position + 1 :]


def test_long_listings_are_read_in_pages(client: Minio, reader: S3Reader) -> None:
    name = f"many-{uuid.uuid4().hex[:8]}"
    client.make_bucket(name)
    for number in range(MORE_THAN_A_PAGE):
        client.put_object(name, f"{number:05}.jpg", io.BytesIO(b""), 0)
    keys = [f"{number:05}.jpg" for number in range(MORE_THAN_A_PAGE)]
    assert [entry.key for entry in reader.list_objects(name, "", start_after=None)] == keys
    rest = reader.list_objects(name, "", start_after=keys[5])
    assert [entry.key for entry in rest] == keys[6:]


def test_an_object_is_not_read_further_than_allowed(buckets: AllowedBuckets, bucket: str) -> None:
    assert len(buckets.fetch(f"s3:{bucket}/cats/large.jpg", max_bytes=2000)) == 2000
    with pytest.raises(TooLarge):
        buckets.fetch(f"s3:{bucket}/cats/large.jpg", max_bytes=1999)


def test_other_buckets_are_refused_with_the_setting(buckets: AllowedBuckets) -> None:
    with pytest.raises(InvalidInput, match="PETSEARCH_IMPORT_BUCKETS"):
        buckets.fetch("s3:petsearch/originals/aa/x", max_bytes=10)
    with pytest.raises(InvalidInput, match="PETSEARCH_IMPORT_BUCKETS"):
        list(S3PrefixSource(buckets, "petsearch", "", max_bytes=10).read(None))


def test_what_is_not_there_is_not_found(buckets: AllowedBuckets, bucket: str) -> None:
    for origin in (f"s3:{bucket}/absent.jpg", "s3:not-there/a.jpg"):
        with pytest.raises(NotFound):
            buckets.fetch(origin, max_bytes=10)
    with pytest.raises(NotFound, match="bucket 'not-there'"):
        list(S3PrefixSource(buckets, "not-there", "", max_bytes=10).read(None))


@pytest.mark.parametrize("origin", ["s3:", "s3:bucket", "s3:/key", "s3:{}/../up", "s3:{}/a/./b"])
def test_what_names_no_object_is_refused(buckets: AllowedBuckets, bucket: str, origin: str) -> None:
    with pytest.raises(InvalidInput):
        buckets.fetch(origin.format(bucket), max_bytes=10)


def test_a_server_that_is_not_there_is_unavailable() -> None:
    absent = s3_reader.open_reader(
        "s3+http://127.0.0.1:9/unused", access_key="key", secret_key="secret"
    )
    with pytest.raises(Unavailable):
        absent.get("bucket", "key", max_bytes=10)
    with pytest.raises(Unavailable):
        list(absent.list_objects("bucket", "", start_after=None))


class _Denying(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        body = b"<?xml version='1.0'?><Error><Code>AccessDenied</Code></Error>"
        self.send_response(403)
        self.send_header("Content-Type", "application/xml")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments: object) -> None:
        """Keep quiet."""


def test_a_bucket_that_the_server_does_not_give_us_is_refused() -> None:
    with HTTPServer(("127.0.0.1", 0), _Denying) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        reader = s3_reader.open_reader(
            f"s3+http://127.0.0.1:{server.server_port}/unused", access_key="a", secret_key="s"
        )
        with pytest.raises(InvalidInput, match="denies read access"):
            reader.get("secrets", "a.jpg", max_bytes=10)
        server.shutdown()


def test_an_archive_in_the_object_store_is_read_where_it_lies(server_url: str) -> None:
    store = minio.open_bucket(
        f"{server_url}/store-{uuid.uuid4().hex[:8]}", access_key=ACCESS_KEY, secret_key=SECRET_KEY
    )
    photos = [pictures.jpeg(seed, 400, 300) for seed in range(30)]
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for number, photo in enumerate(photos):
            archive.writestr(f"{number}.jpg", photo)
        archive.writestr("padding.txt", os.urandom(3_000_000))
        archive.writestr("last.jpg", photos[0])
    store.put("imports/j/a.zip", buffer.getvalue())

    source = ArchiveSource(lambda: open_object(store, "imports/j/a.zip"))
    items = items_of(source)
    assert [item.data for item in items] == [*photos, photos[0]]
    assert [item.data for item in items_of(source, items[28].cursor)] == [photos[29], photos[0]]
    assert source.count() == 31


def test_an_object_is_sought_in_like_a_file(server_url: str) -> None:
    store = minio.open_bucket(
        f"{server_url}/store-{uuid.uuid4().hex[:8]}", access_key=ACCESS_KEY, secret_key=SECRET_KEY
    )
    data = os.urandom(5_000_000)
    store.put("imports/j/a", data)
    with open_object(store, "imports/j/a") as file:
        for offset in (0, 10, 4_000_000, 4_300_000, 5, 4_999_999, 5_000_000, 6_000_000):
            file.seek(offset)
            assert file.read(1000) == data[offset : offset + 1000], offset
        assert file.seek(-3, io.SEEK_END) == 4_999_997
        assert file.read() == data[-3:]
