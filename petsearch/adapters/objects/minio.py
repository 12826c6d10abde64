"""The object store on an S3 server (MinIO and its like), through plain S3 calls."""

import io
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, BinaryIO, Self, cast
from urllib.parse import urlsplit

import urllib3
from minio import Minio
from minio.commonconfig import CopySource
from minio.datatypes import Object
from minio.error import MinioException, S3Error

from petsearch.adapters.objects.sized_stream import SizedStream
from petsearch.domain import deadline, object_keys
from petsearch.domain.errors import ConfigurationError, NotFound, StorageFull, Unavailable
from petsearch.ports import ObjectStore, StoredObject

_CONNECT_S = 3.0
_READ_S = 30.0
_PART_BYTES = 16 * 1024 * 1024
_ABSENT = frozenset({"NoSuchKey", "NoSuchBucket", "NoSuchObject", "ResourceNotFound"})
_FULL = frozenset({"XMinioStorageFull", "QuotaExceeded", "XMinioAdminBucketQuotaExceeded"})
_UNKNOWN = frozenset({"InvalidAccessKeyId", "SignatureDoesNotMatch"})


def open_bucket(url: str, *, access_key: str, secret_key: str) -> "MinioStore":
    """The store at `s3+http://host:port/bucket` (or `s3+https`). Sends nothing yet.

    Raises:
        ConfigurationError: the address names no host or no bucket.
    """
    client, bucket = make_client(url, access_key=access_key, secret_key=secret_key)
    return MinioStore(client, bucket)


def make_client(url: str, *, access_key: str, secret_key: str) -> tuple[Minio, str]:
    """A client of the server in such an address, and the bucket in it. Sends nothing yet.

    Raises:
        ConfigurationError: the address names no host or no bucket.
    """
    parts = urlsplit(url)
    bucket = parts.path.strip("/")
    if not parts.netloc or not bucket or "/" in bucket:
        raise ConfigurationError(
            f"PETSEARCH_STORE_URL is {url!r}; it must look like s3+http://minio:9000/petsearch."
        )
    pool = _PoolInTime(
        # The same call twice is the same as once, so what failed may be sent again.
        retries=_RetryInTime(total=2, backoff_factor=0.1, status_forcelist=[500, 502, 503, 504]),
        maxsize=16,
    )
    client = Minio(
        parts.netloc,
        access_key=access_key,
        secret_key=secret_key,
        secure=parts.scheme == "s3+https",
        http_client=pool,
    )
    return client, bucket


class _RetryInTime(urllib3.Retry):
    """Sends nothing again after the deadline."""

    def increment(  # type: ignore[override]  # what is handed on has no type of its own
        self,
        method: str | None = None,
        url: str | None = None,
        response: urllib3.BaseHTTPResponse | None = None,
        error: Exception | None = None,
        **pool: Any,
    ) -> Self:
        if error is not None and deadline.is_over():
            raise error
        return super().increment(method, url, response, error, **pool)


class _PoolInTime(urllib3.PoolManager):
    """Connections whose time-outs are shortened to what is left until the deadline."""

    def urlopen(  # type: ignore[override]  # all options go on as they are
        self, method: str, url: str, **options: Any
    ) -> urllib3.BaseHTTPResponse:
        options["timeout"] = urllib3.Timeout(
            connect=deadline.left_s(_CONNECT_S), read=deadline.left_s(_READ_S)
        )
        return super().urlopen(method, url, **options)


class MinioStore(ObjectStore):
    """Objects in one bucket, which is created when it is first written to."""

    def __init__(self, client: Minio, bucket: str) -> None:
        self._client = client
        self._bucket = bucket

    def put(self, key: str, data: bytes) -> None:
        with _checked(key):
            try:
                self._put(key, data)
            except S3Error as error:
                if error.code != "NoSuchBucket":
                    raise
                self._make_bucket()
                self._put(key, data)

    def put_stream(self, key: str, file: BinaryIO, size_bytes: int | None) -> None:
        """One part is in memory at a time."""
        stream = cast(BinaryIO, SizedStream(file, size_bytes))
        with _checked(key):
            # A stream cannot be sent again when it turns out that there is no bucket.
            if not self._client.bucket_exists(self._bucket):
                self._make_bucket()
            # Parts sent in parallel wait in a queue without a bound, and memory with them.
            self._client.put_object(
                self._bucket, key, stream, -1, part_size=_PART_BYTES, num_parallel_uploads=1
            )

    def get(self, key: str) -> bytes:
        with _checked(key):
            return read_body(self._client.get_object(self._bucket, key))

    def open(self, key: str, *, offset: int = 0) -> BinaryIO:
        with _checked(key):
            response = self._client.get_object(self._bucket, key, offset=offset)
        return cast(BinaryIO, io.BufferedReader(_Body(response, key)))

    def stat(self, key: str) -> StoredObject:
        with _checked(key):
            return _stored(self._client.stat_object(self._bucket, key))

    def move(self, source: str, target: str) -> None:
        """S3 has no rename: a copy on the server, then a delete."""
        with _checked(target), _checked(source):
            self._client.copy_object(self._bucket, target, CopySource(self._bucket, source))
            self._client.remove_object(self._bucket, source)

    def delete(self, key: str) -> None:
        # Without a bucket there is no object either.
        with suppress(NotFound), _checked(key):
            self._client.remove_object(self._bucket, key)

    def check_delete(self, keys: Iterable[str]) -> None:
        """Whether a delete is allowed is known by the server alone, for all keys alike."""

    def check_access(self) -> None:
        """See `check_delete`."""

    def list_objects(self, prefix: str) -> Iterator[StoredObject]:
        with suppress(NotFound), s3_errors(prefix):
            for entry in self._client.list_objects(self._bucket, prefix, recursive=True):
                yield _stored(entry)

    def ping(self) -> None:
        with s3_errors(self._bucket):
            self._client.bucket_exists(self._bucket)

    def _put(self, key: str, data: bytes) -> None:
        self._client.put_object(self._bucket, key, io.BytesIO(data), len(data))

    def _make_bucket(self) -> None:
        try:
            self._client.make_bucket(self._bucket)
        except S3Error as error:
            if error.code not in ("BucketAlreadyOwnedByYou", "BucketAlreadyExists"):
                raise  # otherwise another process was faster


def _stored(found: Object) -> StoredObject:
    assert found.object_name and found.size is not None and found.last_modified
    return StoredObject(found.object_name, found.size, found.last_modified)


def read_body(response: urllib3.BaseHTTPResponse, max_bytes: int | None = None) -> bytes:
    """The body, or its first bytes; the connection is given back."""
    try:
        return response.read(max_bytes)
    finally:
        response.close()
        response.release_conn()


class _Body(io.RawIOBase):
    """A response's body as a stream that raises petsearch's errors."""

    def __init__(self, response: urllib3.BaseHTTPResponse, key: str) -> None:
        self._response = response
        self._key = key

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        with s3_errors(self._key):
            part = self._response.read(len(buffer))
        buffer[: len(part)] = part
        return len(part)

    def close(self) -> None:
        if not self.closed:
            self._response.close()
            self._response.release_conn()
        super().close()


@contextmanager
def _checked(key: str) -> Iterator[None]:
    object_keys.check(key)
    with s3_errors(key):
        yield


@contextmanager
def s3_errors(key: str) -> Iterator[None]:
    """Raise what the S3 client raises about `key` as a petsearch error."""
    deadline.check("the object store")
    try:
        yield
    except S3Error as error:
        if error.code in _ABSENT:
            raise NotFound(f"There is no object {key!r}.") from error
        if error.code in _FULL:
            raise StorageFull("The object store is full; free some space.") from error
        if error.code == "AccessDenied":
            raise Unavailable(
                "The object store does not let the account of PETSEARCH_S3_ACCESS_KEY do this; "
                "check its policy."
            ) from error
        if error.code in _UNKNOWN:
            raise Unavailable(
                "The object store rejects the access key; check PETSEARCH_S3_ACCESS_KEY and "
                "PETSEARCH_S3_SECRET_KEY."
            ) from error
        raise Unavailable(f"The object store failed: {error.code}.") from error
    except (MinioException, urllib3.exceptions.HTTPError) as error:
        # Its words name the address, and callers from outside see the message.
        raise Unavailable("The object store does not answer.") from error
