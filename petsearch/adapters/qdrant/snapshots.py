"""The `Snapshots` port over Qdrant's REST calls, which its client has no streaming form of."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO

import httpx

from petsearch.domain.errors import InvalidInput, Unavailable
from petsearch.ports import Snapshots

_CONNECT_S = 5.0
_MAKE_S = 3600.0
"""A snapshot of some 100 GB is copied on the server before the answer begins."""
_BLOCK_BYTES = 1024 * 1024


class QdrantSnapshots(Snapshots):
    """Snapshots of the server at `url` (its HTTP address)."""

    def __init__(self, url: str, *, api_key: str | None = None) -> None:
        self._http = httpx.Client(
            base_url=url,
            headers={"api-key": api_key} if api_key else None,
            timeout=httpx.Timeout(_MAKE_S, connect=_CONNECT_S),
        )

    def is_whole(self, collection: str) -> bool:
        answer = self._send("GET", f"/collections/{collection}/cluster")
        return not answer.json()["result"]["remote_shards"]

    @contextmanager
    def made(self, collection: str) -> Iterator[Iterator[bytes]]:
        path = f"/collections/{collection}/snapshots"
        name = self._send("POST", path, params={"wait": "true"}).json()["result"]["name"]
        try:
            with _translated(), self._http.stream("GET", f"{path}/{name}") as answer:
                if not answer.is_success:
                    answer.read()
                _check(answer)
                yield answer.iter_bytes(_BLOCK_BYTES)
        finally:
            self._send("DELETE", f"{path}/{name}", params={"wait": "true"})

    def recover(self, collection: str, file: BinaryIO, sha256: str) -> None:
        self._send(
            "POST",
            f"/collections/{collection}/snapshots/upload",
            params={"wait": "true", "priority": "snapshot", "checksum": sha256},
            files={"snapshot": ("petsearch.snapshot", file)},
        )

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def _send(self, method: str, path: str, **arguments: object) -> httpx.Response:
        with _translated():
            answer = self._http.request(method, path, **arguments)  # type: ignore[arg-type]
        _check(answer)
        return answer


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except httpx.TransportError as error:
        raise Unavailable(f"The index does not answer: {error}") from error


def _check(answer: httpx.Response) -> None:
    if answer.is_success:
        return
    try:
        detail = str(answer.json()["status"]["error"])
    except (ValueError, KeyError, TypeError):
        detail = f"{answer.status_code} {answer.reason_phrase}"
    kind = InvalidInput if answer.is_client_error else Unavailable
    raise kind(f"The index does not take part in a snapshot: {detail}")
