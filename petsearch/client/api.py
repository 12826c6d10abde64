"""The Python client of the REST API: synchronous, and with the exceptions of petsearch."""

import io
import json
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self

import httpx
from httpx_sse import ServerSentEvent, connect_sse

from petsearch.client.retries import pauses
from petsearch.domain import JsonDict
from petsearch.domain.api_keys import trim_key
from petsearch.domain.errors import (
    ConfigurationError,
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
from petsearch.sources.spec import MAX_URLS

_ASK_AGAIN_S = 0.5
_ERROR_OF: Mapping[int, type[PetsearchError]] = {
    400: InvalidInput,
    404: NotFound,
    409: Conflict,
    412: Outdated,
    413: TooLarge,
    422: InvalidInput,
    429: Overloaded,
}

_NOT_IN_A_KEY = re.compile(r"[^!-~]")


@dataclass(frozen=True)
class Photo:
    """A photo to upload, with metadata as in the API's `metadata`."""

    filename: str
    data: bytes
    metadata: Mapping[str, Any] = field(default_factory=dict)

    @property
    def full_metadata(self) -> JsonDict:
        """The metadata with the file name."""
        return {"filename": self.filename, **self.metadata}


class Client:
    """A client of a petsearch server.

    Args:
        base_url: such as `http://127.0.0.1:8000`; several servers of one service are separated by
            commas, and if one cannot be connected to, the next one is used.
        api_key: `ps_…`, for a server that requires keys. White space, quotes and byte order marks
            around it are ignored.
        timeout_s: timeout of a request.
        transport: an httpx transport, to reach a server in another way.

    Raises:
        ConfigurationError: `base_url` is invalid, or `api_key` holds a character that no key has.
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
            # With several servers, the next one is tried instead of the same one again.
            transport = httpx.HTTPTransport(retries=0 if others else 2)
            transport = FailoverTransport((first, *others), transport) if others else transport
        self._http = httpx.Client(
            base_url=first,
            timeout=timeout_s,
            headers=_authorization(api_key or ""),
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
        """Search by text; `options` as in `GET /v1/search` (limit, species, tag, min_score …)."""
        return self._call("GET", "/v1/search", params={"q": query, **_without_none(options)})

    def search_composed(self, query: JsonDict, photo: bytes | None = None) -> JsonDict:
        """Search by a query of several parts, as in `POST /v1/search`, and by a photo if given."""
        if photo is None:
            return self._call("POST", "/v1/search", json=query)
        data = {"query": json.dumps(query)}
        return self._call("POST", "/v1/search/image", files={"photo": ("photo", photo)}, data=data)

    def facets(self, by: str, **filters: Any) -> dict[str, int]:
        """Count images per `breed`, `species`, `status` or `tag`, the most frequent first."""
        answer = self._call("GET", "/v1/facets", params={"by": by, **_without_none(filters)})
        return {entry["value"]: entry["count"] for entry in answer["values"]}

    def search_photo(self, data: bytes, **options: Any) -> JsonDict:
        """Search by an encoded photo.

        Args:
            options: limit, species, breed, status, animal_id, tag (several), min_score; for other
                options use `search_composed`.
        """
        return self._call(
            "POST",
            "/v1/search/image",
            files={"photo": ("photo", data)},
            data=_without_none(options),
        )

    def similar(self, image_id: str, **options: Any) -> JsonDict:
        """Search photos that look like an indexed one."""
        return self._call("GET", f"/v1/images/{image_id}/similar", params=_without_none(options))

    def image(self, image_id: str) -> JsonDict:
        """Get an image."""
        return self._call("GET", f"/v1/images/{image_id}")

    def change_image(self, image_id: str, changes: JsonDict) -> JsonDict:
        """Change the metadata of an image by a JSON merge patch: null clears a field."""
        headers = {"Content-Type": "application/merge-patch+json"}
        return self._call("PATCH", f"/v1/images/{image_id}", json=changes, headers=headers)

    def delete_image(self, image_id: str) -> None:
        """Delete an image."""
        self._send("DELETE", f"/v1/images/{image_id}")

    def delete_images_of_animal(self, animal_id: str) -> int:
        """Delete all images of an animal, and return how many there were."""
        deleted, remaining = 0, 1
        while remaining:
            answer = self._call("DELETE", "/v1/images", params={"animal_id": animal_id})
            deleted, remaining = deleted + answer["deleted"], answer["remaining"]
        return deleted

    def stats(self) -> JsonDict:
        """Get counts of images, species, statuses and jobs."""
        return self._call("GET", "/v1/stats")

    def limits(self) -> JsonDict:
        """Get what an upload may hold: `image_bytes`, `photos_per_request`, `request_bytes`."""
        return self._call("GET", "/v1/limits")

    def open_job(
        self,
        source: str,
        *,
        expected: int | None = None,
        key: str | None = None,
        **options: Any,
    ) -> JsonDict:
        """Create a job that photos are added to. The same `key` returns the same job.

        Args:
            options: `on_duplicate`, `exif_dates` and `gps`, as in `POST /v1/jobs`.
        """
        body = {"source": source, "expected": expected, **options}
        headers = _without_none({"Idempotency-Key": key})
        return self._call("POST", "/v1/jobs", json=body, headers=headers)

    def read_source(self, source: JsonDict, **options: Any) -> JsonDict:
        """Create a job whose photos the server reads, such as `{"type": "s3", "bucket": …}`.

        Args:
            options: as in `open_job`.
        """
        return self._call("POST", "/v1/jobs", json={"source": source, **options})

    def read_urls(self, urls: Sequence[str], **options: Any) -> JsonDict:
        """Create a job that reads photos at URLs; a list that is too long is sent as a manifest.

        Args:
            options: as in `open_job`.
        """
        if len(urls) <= MAX_URLS:
            return self.read_source({"type": "urls", "urls": urls}, **options)
        lines = io.BytesIO("".join(json.dumps({"url": url}) + "\n" for url in urls).encode())
        return self._upload("manifest", ("urls.jsonl", lines), options)

    def upload_source(
        self,
        kind: str,
        path: Path,
        *,
        columns: Mapping[str, str | None] | None = None,
        **options: Any,
    ) -> JsonDict:
        """Stream an `archive` or a `manifest` to the server, and create a job that reads it.

        Args:
            columns: the field that a column of a manifest holds, such as `{"Bild": "path"}`; None
                leaves a column out. Others are known by their names.
            options: as in `open_job`.
        """
        if columns:
            options["columns"] = json.dumps(columns)
        with path.open("rb") as file:
            return self._upload(kind, (path.name, file), options)

    def _upload(self, kind: str, file: tuple[str, BinaryIO], options: JsonDict) -> JsonDict:
        data = {"kind": kind, **options}
        return self._call("POST", "/v1/jobs/upload", files={"file": file}, data=data)

    def add_photos(
        self, job_id: str, photos: Sequence[Photo], *, key: str | None = None
    ) -> JsonDict:
        """Add at most 64 photos to a job. Calls with the same `key` count once."""
        files = [("photos", (photo.filename, photo.data)) for photo in photos]
        metadata = json.dumps([photo.full_metadata for photo in photos])
        return self._call(
            "POST",
            f"/v1/jobs/{job_id}/photos",
            files=files,
            data={"metadata": metadata},
            headers=_without_none({"Idempotency-Key": key}),
        )

    def add_known(
        self, job_id: str, photos: Sequence[tuple[str, JsonDict]], *, key: str | None = None
    ) -> list[int]:
        """Add photos that the server has, as (SHA-256, metadata). Calls with one `key` count once.

        Returns:
            the positions of photos that the server does not have, which were not added.
        """
        items = [{"sha256": sha256, "metadata": metadata} for sha256, metadata in photos]
        answer = self._call(
            "POST",
            f"/v1/jobs/{job_id}/known",
            json={"items": items},
            headers=_without_none({"Idempotency-Key": key}),
        )
        missing: list[int] = answer["missing"]
        return missing

    def seal_job(self, job_id: str, *, timeout_s: float | None = None) -> JsonDict:
        """End adding photos to a job; `timeout_s` replaces the client's timeout."""
        timeout = _without_none({"timeout": timeout_s})
        return self._call("POST", f"/v1/jobs/{job_id}/seal", **timeout)

    def control_job(self, job_id: str, action: str) -> JsonDict:
        """Perform an `action` on a job: `pause`, `resume`, `cancel` or `retry`."""
        return self._call("POST", f"/v1/jobs/{job_id}/{action}")

    def delete_job(self, job_id: str) -> None:
        """Delete the record of a job that has ended. Its images stay."""
        self._send("DELETE", f"/v1/jobs/{job_id}")

    def watch_job(self, job_id: str) -> Iterator[JsonDict]:
        """Yield the job after every change until it ends.

        When the stream is cut off it goes on from there, and waits ten minutes for a server that
        is being restarted.

        Raises:
            NotFound: there is no such job, or it was deleted meanwhile.
            Unavailable: the server does not answer, the first time or for ten minutes.
        """
        last_id = ""
        waits: Iterator[float] = iter(())
        while True:
            try:
                for event in self._events(job_id, last_id):
                    last_id, job = event.id, event.json()
                    yield job
                    if job["finished_at"] is not None:
                        return
                    waits = pauses()
            except Unavailable:
                pause_s = next(waits, None)
                if pause_s is None:
                    raise
            else:  # ended by the server, as after every event to some proxies
                pause_s = _ASK_AGAIN_S
            time.sleep(pause_s)

    def _events(self, job_id: str, last_id: str) -> Iterator[ServerSentEvent]:
        """The events of one stream, those after `last_id`."""
        path = f"/v1/jobs/{job_id}/events"
        headers = {"Last-Event-ID": last_id} if last_id else {}
        with (
            self._unavailable_on_error(),
            connect_sse(self._http, "GET", path, headers=headers) as stream,
        ):
            _raise_for_status(stream.response)
            yield from (event for event in stream.iter_sse() if event.data)  # a comment has none

    def job(self, job_id: str) -> JsonDict:
        """Get a job."""
        return self._call("GET", f"/v1/jobs/{job_id}")

    def jobs(self, limit: int = 20) -> list[JsonDict]:
        """List jobs, newest first."""
        items: list[JsonDict] = self._call("GET", "/v1/jobs", params={"limit": limit})["items"]
        return items

    def job_items(
        self, job_id: str, status: str | None = None, *, warned: bool | None = None
    ) -> Iterator[JsonDict]:
        """Iterate over the outcomes of a job's items, of one status or with warnings if asked."""
        cursor: str | None = None
        while True:
            given = {"status": status, "warned": warned, "cursor": cursor, "limit": 1000}
            params = _without_none(given)
            page = self._call("GET", f"/v1/jobs/{job_id}/items", params=params)
            yield from page["items"]
            cursor = page["next_cursor"]
            if cursor is None:
                return

    def models(self) -> list[JsonDict]:
        """List models that are published, loaded or have a collection, the current one first."""
        items: list[JsonDict] = self._call("GET", "/v1/models")["items"]
        return items

    def reindex(self, model_id: str) -> JsonDict:
        """Build the collection of a published model, and return the job that does it."""
        return self._call("POST", "/v1/reindex", json={"model_id": model_id})

    def promote(self, model_id: str, *, accept_worse: bool = False) -> JsonDict:
        """Make a model with a finished collection the current one, if it passes the checks.

        Args:
            accept_worse: promote it even if it finds photos of the same breed worse.
        """
        params = {"accept_worse": accept_worse}
        return self._call("POST", f"/v1/models/{model_id}/promote", params=params)

    def rollback(self) -> JsonDict:
        """Make the model before the last promotion the current one again."""
        return self._call("POST", "/v1/models/rollback")

    def drop_collection(self, model_id: str) -> None:
        """Delete the collection of a model that is not current."""
        self._send("DELETE", f"/v1/models/{model_id}/collection")

    def list_keys(self) -> list[JsonDict]:
        """List all API keys, without their secrets. Requires the scope `admin`."""
        items: list[JsonDict] = self._call("GET", "/v1/keys")["items"]
        return items

    def create_key(
        self, name: str, scopes: Sequence[str], *, expires_at: str | None = None
    ) -> JsonDict:
        """Create an API key: `{"key": …, "secret": "ps_…"}`. The secret cannot be read again."""
        body = {"name": name, "scopes": list(scopes), "expires_at": expires_at}
        return self._call("POST", "/v1/keys", json=body)

    def revoke_key(self, key_id: str) -> None:
        """Revoke an API key for good."""
        self._send("DELETE", f"/v1/keys/{key_id}")

    def _call(self, method: str, path: str, **arguments: Any) -> JsonDict:
        body: JsonDict = self._send(method, path, **arguments).json()
        return body

    def _send(self, method: str, path: str, **arguments: Any) -> httpx.Response:
        with self._unavailable_on_error():
            response = self._http.request(method, path, **arguments)
        _raise_for_status(response)
        return response

    @contextmanager
    def _unavailable_on_error(self) -> Iterator[None]:
        try:
            yield
        except httpx.HTTPError as error:
            raise Unavailable(
                f"No petsearch server answers at {self._base_url} ({error}). "
                "Start one with: petsearch serve"
            ) from error


def _authorization(api_key: str) -> dict[str, str]:
    """The header that presents a key. Errors never contain the key."""
    key = trim_key(api_key)
    wrong = _NOT_IN_A_KEY.search(key)
    if wrong:
        raise ConfigurationError(
            f"The API key cannot be used: its character {wrong.start() + 1} is "
            f"U+{ord(wrong[0]):04X}, which no key has. Copy it again; it looks like ps_…"
        )
    return {"Authorization": f"Bearer {key}"} if key else {}


def _without_none(options: Mapping[str, Any]) -> dict[str, Any]:
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
