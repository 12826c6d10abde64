"""The Python client of the REST API: synchronous, typed, with errors of our own tree."""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx
from httpx_sse import SSEError, connect_sse

from petsearch.domain import JsonDict
from petsearch.domain.errors import (
    Conflict,
    InvalidInput,
    NotFound,
    Outdated,
    Overloaded,
    PetsearchError,
    TooLarge,
    Unavailable,
)
from petsearch.failover import FailoverTransport, split_addresses

_ERROR_OF: Mapping[int, type[PetsearchError]] = {
    400: InvalidInput,
    404: NotFound,
    409: Conflict,
    412: Outdated,
    413: TooLarge,
    422: InvalidInput,
    429: Overloaded,
}


@dataclass(frozen=True)
class Photo:
    """A photo to upload, and what is said about it (keys as in the API's `metadata`)."""

    filename: str
    data: bytes
    metadata: Mapping[str, Any] = field(default_factory=dict)

    @property
    def described(self) -> JsonDict:
        """The metadata with the file name in it."""
        return {"filename": self.filename, **self.metadata}


class Client:
    """Calls a petsearch server.

    Args:
        base_url: such as `http://127.0.0.1:8000`. Several servers of one service are written with
            commas: one that cannot be connected to is passed over.
        api_key: `ps_…`, for a server that asks for one.
        timeout_s: of one call.
        transport: an httpx transport, for other ways to reach a server.

    Raises:
        ConfigurationError: `base_url` is no address.
    """

    def __init__(
        self,
        base_url: str,
        *,
        api_key: str | None = None,
        timeout_s: float = 60.0,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self._base_url = base_url
        first, *others = split_addresses(base_url)
        if transport is None:
            # With others to ask, one that refuses is not tried again first.
            transport = httpx.HTTPTransport(retries=0 if others else 2)
            transport = FailoverTransport((first, *others), transport) if others else transport
        self._http = httpx.Client(
            base_url=first,
            timeout=timeout_s,
            headers={"Authorization": f"Bearer {api_key}"} if api_key else None,
            transport=transport,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def search(self, query: str, **options: Any) -> JsonDict:
        """Search by words; `options` as in `GET /v1/search` (limit, species, tag, min_score …)."""
        return self._call("GET", "/v1/search", params={"q": query, **_given(options)})

    def search_composed(self, query: JsonDict, photo: bytes | None = None) -> JsonDict:
        """Search by several parts; `query` as in `POST /v1/search`, beside a photo or not."""
        if photo is None:
            return self._call("POST", "/v1/search", json=query)
        data = {"query": json.dumps(query)}
        return self._call("POST", "/v1/search/image", files={"photo": ("photo", photo)}, data=data)

    def facets(self, by: str, **filters: Any) -> dict[str, int]:
        """Images per value of `breed`, `species`, `status` or `tag`, the most frequent first."""
        answer = self._call("GET", "/v1/facets", params={"by": by, **_given(filters)})
        return {entry["value"]: entry["count"] for entry in answer["values"]}

    def search_photo(self, data: bytes, **options: Any) -> JsonDict:
        """Search by an encoded photo.

        Args:
            options: limit, species, breed, status, animal_id, tag (several), min_score; what else
                there is goes through `search_composed`.
        """
        return self._call(
            "POST", "/v1/search/image", files={"photo": ("photo", data)}, data=_given(options)
        )

    def similar(self, image_id: str, **options: Any) -> JsonDict:
        """Photos that look like an indexed one."""
        return self._call("GET", f"/v1/images/{image_id}/similar", params=_given(options))

    def image(self, image_id: str) -> JsonDict:
        """One image."""
        return self._call("GET", f"/v1/images/{image_id}")

    def change_image(self, image_id: str, changes: JsonDict) -> JsonDict:
        """Change what is said about an image by a JSON merge patch: null clears a field."""
        headers = {"Content-Type": "application/merge-patch+json"}
        return self._call("PATCH", f"/v1/images/{image_id}", json=changes, headers=headers)

    def delete_image(self, image_id: str) -> None:
        """Delete one image."""
        self._send("DELETE", f"/v1/images/{image_id}")

    def delete_images_of_animal(self, animal_id: str) -> int:
        """Delete all images of an animal; how many that were."""
        deleted, remaining = 0, 1
        while remaining:
            answer = self._call("DELETE", "/v1/images", params={"animal_id": animal_id})
            deleted, remaining = deleted + answer["deleted"], answer["remaining"]
        return deleted

    def stats(self) -> JsonDict:
        """Counts."""
        return self._call("GET", "/v1/stats")

    def open_job(
        self,
        source: str,
        *,
        expected: int | None = None,
        on_duplicate: str = "merge",
        key: str | None = None,
    ) -> JsonDict:
        """Open a job that photos are added to. With the same `key` again it is the same job."""
        body = {"source": source, "expected": expected, "on_duplicate": on_duplicate}
        headers = _given({"Idempotency-Key": key})
        return self._call("POST", "/v1/jobs", json=body, headers=headers)

    def read_source(self, source: JsonDict, *, on_duplicate: str = "merge") -> JsonDict:
        """Open a job whose photos the server reads: `{"type": "s3", "bucket": …}` and its like."""
        body = {"source": source, "on_duplicate": on_duplicate}
        return self._call("POST", "/v1/jobs", json=body)

    def upload_source(self, kind: str, path: Path, *, on_duplicate: str = "merge") -> JsonDict:
        """Upload an `archive` or a `manifest` for the server to read; it is streamed."""
        with path.open("rb") as file:
            return self._call(
                "POST",
                "/v1/jobs/upload",
                files={"file": (path.name, file)},
                data={"kind": kind, "on_duplicate": on_duplicate},
            )

    def add_photos(
        self, job_id: str, photos: Sequence[Photo], *, key: str | None = None
    ) -> JsonDict:
        """Add at most 64 photos to an open job. With the same `key` again they count once."""
        files = [("photos", (photo.filename, photo.data)) for photo in photos]
        metadata = json.dumps([photo.described for photo in photos])
        return self._call(
            "POST",
            f"/v1/jobs/{job_id}/photos",
            files=files,
            data={"metadata": metadata},
            headers=_given({"Idempotency-Key": key}),
        )

    def add_known(
        self, job_id: str, photos: Sequence[tuple[str, JsonDict]], *, key: str | None = None
    ) -> list[int]:
        """Account photos, given as (SHA-256, metadata), that the server has; which are missing.

        With the same `key` again they count once.
        """
        items = [{"sha256": sha256, "metadata": metadata} for sha256, metadata in photos]
        answer = self._call(
            "POST",
            f"/v1/jobs/{job_id}/known",
            json={"items": items},
            headers=_given({"Idempotency-Key": key}),
        )
        missing: list[int] = answer["missing"]
        return missing

    def seal_job(self, job_id: str) -> JsonDict:
        """No more photos for this job."""
        return self._call("POST", f"/v1/jobs/{job_id}/seal")

    def control_job(self, job_id: str, action: str) -> JsonDict:
        """Change the course of a job: `pause`, `resume`, `cancel` or `retry`."""
        return self._call("POST", f"/v1/jobs/{job_id}/{action}")

    def delete_job(self, job_id: str) -> None:
        """Forget an ended job; its images stay."""
        self._send("DELETE", f"/v1/jobs/{job_id}")

    def watch_job(self, job_id: str) -> Iterator[JsonDict]:
        """Yield the job after every change until it ends; reconnects if the stream is cut off.

        Raises:
            NotFound: there is no such job, or it was deleted meanwhile.
            Unavailable: the server does not answer.
        """
        path, last_id = f"/v1/jobs/{job_id}/events", ""
        while True:
            headers = {"Last-Event-ID": last_id} if last_id else {}
            with (
                self._errors_translated(),
                connect_sse(self._http, "GET", path, headers=headers) as stream,
            ):
                _raise_for_status(stream.response)
                try:
                    for event in stream.iter_sse():
                        if not event.data:  # the end of a comment
                            continue
                        last_id, job = event.id, event.json()
                        yield job
                        if job["finished_at"] is not None:
                            return
                except SSEError:  # not an event stream: asking again would not help
                    raise
                except httpx.TransportError:
                    continue  # cut off: ask again from the last event on

    def job(self, job_id: str) -> JsonDict:
        """Where a job stands."""
        return self._call("GET", f"/v1/jobs/{job_id}")

    def jobs(self, limit: int = 20) -> list[JsonDict]:
        """Jobs, newest first."""
        items: list[JsonDict] = self._call("GET", "/v1/jobs", params={"limit": limit})["items"]
        return items

    def job_items(self, job_id: str, status: str | None = None) -> Iterator[JsonDict]:
        """What became of a job's items."""
        cursor: str | None = None
        while True:
            params = _given({"status": status, "cursor": cursor, "limit": 1000})
            page = self._call("GET", f"/v1/jobs/{job_id}/items", params=params)
            yield from page["items"]
            cursor = page["next_cursor"]
            if cursor is None:
                return

    def models(self) -> list[JsonDict]:
        """Models that are published, loaded or have a collection; the current one first."""
        items: list[JsonDict] = self._call("GET", "/v1/models")["items"]
        return items

    def reindex(self, model_id: str) -> JsonDict:
        """Build the collection of a published model; the job that does it."""
        return self._call("POST", "/v1/reindex", json={"model_id": model_id})

    def promote(self, model_id: str, *, accept_worse: bool = False) -> JsonDict:
        """Let a model serve whose reindex has ended, if it passes the gate.

        Args:
            accept_worse: also if it finds photos of the same breed worse than the current one.
        """
        params = {"accept_worse": accept_worse}
        return self._call("POST", f"/v1/models/{model_id}/promote", params=params)

    def rollback(self) -> JsonDict:
        """Let the model serve again that did before."""
        return self._call("POST", "/v1/models/rollback")

    def drop_collection(self, model_id: str) -> None:
        """Give up the collection of a model that does not serve."""
        self._send("DELETE", f"/v1/models/{model_id}/collection")

    def list_keys(self) -> list[JsonDict]:
        """All API keys, without their secrets; for the scope admin."""
        items: list[JsonDict] = self._call("GET", "/v1/keys")["items"]
        return items

    def create_key(
        self, name: str, scopes: Sequence[str], *, expires_at: str | None = None
    ) -> JsonDict:
        """Make an API key: `{"key": …, "secret": "ps_…"}`. The secret is told this once."""
        body = {"name": name, "scopes": list(scopes), "expires_at": expires_at}
        return self._call("POST", "/v1/keys", json=body)

    def revoke_key(self, key_id: str) -> None:
        """Make an API key invalid for ever."""
        self._send("DELETE", f"/v1/keys/{key_id}")

    def _call(self, method: str, path: str, **arguments: Any) -> JsonDict:
        body: JsonDict = self._send(method, path, **arguments).json()
        return body

    def _send(self, method: str, path: str, **arguments: Any) -> httpx.Response:
        with self._errors_translated():
            response = self._http.request(method, path, **arguments)
        _raise_for_status(response)
        return response

    @contextmanager
    def _errors_translated(self) -> Iterator[None]:
        try:
            yield
        except httpx.HTTPError as error:
            raise Unavailable(
                f"No petsearch server answers at {self._base_url} ({error}). "
                "Start one with: petsearch serve"
            ) from error


def _given(options: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in options.items() if value is not None}


def _raise_for_status(response: httpx.Response) -> None:
    if response.is_success:
        return
    response.read()  # a stream is not read yet
    try:
        detail = str(response.json()["detail"])
    except (ValueError, KeyError, TypeError):
        detail = f"The server answered {response.status_code} {response.reason_phrase}."
    kind = _ERROR_OF.get(response.status_code)
    if kind is None:
        kind = Unavailable if response.status_code >= 500 else PetsearchError
    raise kind(detail)
