"""Reads other buckets of the S3 server, for jobs that ingest photos from them."""

from collections.abc import Iterator
from contextlib import contextmanager

from minio import Minio
from minio.error import S3Error

from petsearch.adapters.objects.minio import make_client, read_body, s3_errors
from petsearch.domain.errors import InvalidInput, NotFound, TooLarge
from petsearch.sources.s3_prefix import BucketObject, BucketReader


def open_reader(store_url: str, *, access_key: str, secret_key: str) -> "S3Reader":
    """A reader of the server in the object store's address. Sends nothing yet.

    Raises:
        ConfigurationError: the address names no host or no bucket.
    """
    client, _ = make_client(store_url, access_key=access_key, secret_key=secret_key)
    return S3Reader(client)


class S3Reader(BucketReader):
    """Objects of any bucket, over an S3 client."""

    def __init__(self, client: Minio) -> None:
        self._client = client

    def list_objects(
        self, bucket: str, prefix: str, *, start_after: str | None
    ) -> Iterator[BucketObject]:
        """Asks for a thousand keys at a time."""
        with _translated(bucket, prefix):
            found = self._client.list_objects(
                bucket, prefix, recursive=True, start_after=start_after
            )
            for entry in found:
                assert entry.object_name is not None
                yield BucketObject(entry.object_name, entry.size or 0)

    def get(self, bucket: str, key: str, *, max_bytes: int) -> bytes:
        with _translated(bucket, key):
            data = read_body(self._client.get_object(bucket, key), max_bytes + 1)
        if len(data) > max_bytes:
            raise TooLarge(f"The object is larger than {max_bytes / 1e6:.0f} MB.")
        return data

    def get_head(self, bucket: str, key: str, *, max_bytes: int) -> bytes:
        with _translated(bucket, key):
            return read_body(self._client.get_object(bucket, key, length=max_bytes), max_bytes)


@contextmanager
def _translated(bucket: str, key: str) -> Iterator[None]:
    with s3_errors(key):
        try:
            yield
        except S3Error as error:
            if error.code == "NoSuchBucket":
                raise NotFound(f"There is no bucket {bucket!r}.") from error
            if error.code == "AccessDenied":
                raise InvalidInput(
                    f"The S3 server denies read access to {key!r} in {bucket!r}; grant it to the "
                    "account of PETSEARCH_S3_ACCESS_KEY."
                ) from error
            raise
        except ValueError as error:  # the client rejects names that S3 does not allow
            raise InvalidInput(f"{bucket}/{key} cannot be read: {error}.") from error
