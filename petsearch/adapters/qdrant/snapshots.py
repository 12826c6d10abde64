"""Snapshots over Qdrant's REST calls, which its client has no streaming form of."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO

import httpx

from petsearch.domain.errors import InvalidInput, Unavailable
from petsearch.failover import FailoverTransport, split_addresses
from petsearch.ports import Snapshots

_CONNECT_S = 5.0
_MAKE_S = 3600.0
"""A snapshot of some 100 GB is copied on the server before the answer begins."""
_BLOCK_BYTES = 1024 * 1024


@contextmanager
def _http_errors() -> Iterator[None]:
    try:
        yield
    except httpx.TransportError as error:
        raise Unavailable(f"The index does not answer: {error}") from error


def _raise_for_status(response: httpx.Response) -> None:
    if response.is_success:
        return
    response.read()
    try:
        detail = str(response.json()["status"]["error"])
    except (ValueError, KeyError, TypeError):
        detail = f"{response.status_code} {response.reason_phrase}"
    kind = InvalidInput if response.is_client_error else Unavailable
    raise kind(f"The index rejected a snapshot call: {detail}")


class QdrantSnapshots(Snapshots):
    """Snapshots of the server at `url` (its HTTP address); of several, the first that answers."""

    def __init__(self, url: str, *, api_key: str | None = None) -> None:
        addresses = split_addresses(url)
        self._http = httpx.Client(
            base_url=addresses[0],
            transport=FailoverTransport(addresses, httpx.HTTPTransport()),
            headers={"api-key": api_key} if api_key else None,
            timeout=httpx.Timeout(_MAKE_S, connect=_CONNECT_S),
            event_hooks={"response": [_raise_for_status]},
        )

    @_http_errors()
    def is_complete(self, collection: str) -> bool:
        response = self._http.get(f"/collections/{collection}/cluster")
        return not response.json()["result"]["remote_shards"]

    @contextmanager
    def create(self, collection: str) -> Iterator[Iterator[bytes]]:
        path = f"/collections/{collection}/snapshots"
        with _http_errors():
            response = self._http.post(path, params={"wait": "true"})
            snapshot = f"{path}/{response.json()['result']['name']}"
            try:
                with self._http.stream("GET", snapshot) as response:
                    yield response.iter_bytes(_BLOCK_BYTES)
            finally:
                self._http.delete(snapshot, params={"wait": "true"})

    @_http_errors()
    def recover(self, collection: str, file: BinaryIO, sha256: str) -> None:
        self._http.post(
            f"/collections/{collection}/snapshots/upload",
            params={"wait": "true", "priority": "snapshot", "checksum": sha256},
            files={"snapshot": ("petsearch.snapshot", file)},
        )

    def close(self) -> None:
        """Close the connections."""
        self._http.close()
