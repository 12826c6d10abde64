"""The Python client of the REST API: synchronous, and with the exceptions of petsearch.

async_api.py is made from this file: `make async-client`.
"""

import io
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO, Self

import httpx
from httpx_sse import ServerSentEvent, connect_sse

from petsearch.client.photo import Photo
from petsearch.client.rest import (
    body_of,
    fit_in_json,
    open_http,
    raise_for_status,
    segment,
    unavailable_on_error,
    without_none,
)
from petsearch.client.retries import pauses
from petsearch.domain import JsonDict
from petsearch.domain.errors import Unavailable
from petsearch.domain.metadata import safe_filename

_ASK_AGAIN_S = 0.5


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
        self._address = base_url
        self._http = open_http(base_url, api_key, timeout_s, transport)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def search(self, query: str, **options: Any) -> JsonDict:
        """Search by text; `options` as in `GET /v1/search` (limit, status, not_status, missing …).

        A list is any of its values, and of `tag` all of them.
        """
        return self._call("GET", "/v1/search", params={"q": query, **without_none(options)})

    def search_composed(self, query: JsonDict, photo: bytes | None = None) -> JsonDict:
        """Search by a query of several parts, as in `POST /v1/search`, and by a photo if given."""
        if photo is None:
            return self._call("POST", "/v1/search", json=query)
        data = {"query": json.dumps(query)}
        return self._call("POST", "/v1/search/image", files={"photo": ("photo", photo)}, data=data)

    def facets(self, by: str, **filters: Any) -> dict[str, int]:
        """Count images per `breed`, `species`, `status`, `tag` or `attributes`; most first."""
        answer = self.count_by(by, **filters)
        return {entry["value"]: entry["count"] for entry in answer["values"]}

    def count_by(self, by: str, **filters: Any) -> JsonDict:
        """Count as `facets` does, and tell how many images are `unsure`, as `GET /v1/facets`."""
        return self._call("GET", "/v1/facets", params={"by": by, **without_none(filters)})

    def search_photo(self, data: bytes, **options: Any) -> JsonDict:
        """Search by an encoded photo.

        Args:
            options: limit, min_score, species, breed, status, animal_id, their opposites with
                `not_`, tag, not_tag and missing; for other options use `search_composed`.
        """
        return self._call(
            "POST",
            "/v1/search/image",
            files={"photo": ("photo", data)},
            data=without_none(options),
        )

    def similar(self, image_id: str, **options: Any) -> JsonDict:
        """Search photos that look like an indexed one."""
        return self._call(
            "GET", f"/v1/images/{segment(image_id)}/similar", params=without_none(options)
        )

    def image(self, image_id: str) -> JsonDict:
        """Get an image."""
        return self._call("GET", f"/v1/images/{segment(image_id)}")

    def thumbnail(self, image_id: str) -> bytes:
        """Get the small copy of an image, as a file."""
        response = self._send("GET", f"/v1/images/{segment(image_id)}/thumbnail")
        return response.content

    def list_images(self, **options: Any) -> JsonDict:
        """List a page of images, newest first; `options` as in `GET /v1/images` (limit …)."""
        return self._call("GET", "/v1/images", params=without_none(options))

    def duplicates(self, tier: str, **options: Any) -> JsonDict:
        """List a page of groups of images that are alike: `exact`, `same_photo` or `similar`.

        Args:
            options: limit, cursor and min_score. A page may have fewer groups than `limit`, even
                none, before the end.
        """
        params = {"tier": tier, **without_none(options)}
        return self._call("GET", "/v1/duplicates", params=params)

    def image_ids(self, prefix: str) -> list[str]:
        """List the first 10 ids that begin with at least 4 characters: what a short id may mean."""
        items: list[str] = self._call("GET", "/v1/images/ids", params={"prefix": prefix})["items"]
        return items

    def change_image(self, image_id: str, changes: JsonDict) -> JsonDict:
        """Change the metadata of an image by a JSON merge patch: null clears a field."""
        headers = {"Content-Type": "application/merge-patch+json"}
        return self._call("PATCH", f"/v1/images/{segment(image_id)}", json=changes, headers=headers)

    def delete_image(self, image_id: str) -> None:
        """Delete an image."""
        self._send("DELETE", f"/v1/images/{segment(image_id)}")

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
        headers = without_none({"Idempotency-Key": key})
        return self._call("POST", "/v1/jobs", json=body, headers=headers)

    def read_source(self, source: JsonDict, **options: Any) -> JsonDict:
        """Create a job whose photos the server reads, such as `{"type": "s3", "bucket": …}`.

        Args:
            options: as in `open_job`.
        """
        return self._call("POST", "/v1/jobs", json={"source": source, **options})

    def read_urls(self, urls: list[str], **options: Any) -> JsonDict:
        """Create a job that reads photos at URLs; a list that is too long is sent as a manifest.

        Args:
            options: as in `open_job`.
        """
        if fit_in_json(urls):
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
            return self._upload(kind, (safe_filename(path.name), file), options)

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
            f"/v1/jobs/{segment(job_id)}/photos",
            files=files,
            data={"metadata": metadata},
            headers=without_none({"Idempotency-Key": key}),
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
            f"/v1/jobs/{segment(job_id)}/known",
            json={"items": items},
            headers=without_none({"Idempotency-Key": key}),
        )
        missing: list[int] = answer["missing"]
        return missing

    def seal_job(self, job_id: str, *, timeout_s: float | None = None) -> JsonDict:
        """End adding photos to a job; `timeout_s` replaces the client's timeout."""
        timeout = without_none({"timeout": timeout_s})
        return self._call("POST", f"/v1/jobs/{segment(job_id)}/seal", **timeout)

    def control_job(self, job_id: str, action: str) -> JsonDict:
        """Perform an `action` on a job: `pause`, `resume`, `cancel` or `retry`."""
        return self._call("POST", f"/v1/jobs/{segment(job_id)}/{action}")

    def delete_job(self, job_id: str) -> None:
        """Delete the record of a job that has ended. Its images stay."""
        self._send("DELETE", f"/v1/jobs/{segment(job_id)}")

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
        path = f"/v1/jobs/{segment(job_id)}/events"
        headers = {"Last-Event-ID": last_id} if last_id else {}
        with unavailable_on_error(self._address):
            with connect_sse(self._http, "GET", path, headers=headers) as stream:
                if not stream.response.is_success:
                    stream.response.read()
                raise_for_status(stream.response)
                for event in stream.iter_sse():
                    if event.data:  # a comment has none
                        yield event

    def job(self, job_id: str) -> JsonDict:
        """Get a job."""
        return self._call("GET", f"/v1/jobs/{segment(job_id)}")

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
            params = without_none(given)
            page = self._call("GET", f"/v1/jobs/{segment(job_id)}/items", params=params)
            for item in page["items"]:
                yield item
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
        return self._call("POST", f"/v1/models/{segment(model_id)}/promote", params=params)

    def rollback(self) -> JsonDict:
        """Make the model before the last promotion the current one again."""
        return self._call("POST", "/v1/models/rollback")

    def drop_collection(self, model_id: str) -> None:
        """Delete the collection of a model that is not current."""
        self._send("DELETE", f"/v1/models/{segment(model_id)}/collection")

    def list_keys(self) -> list[JsonDict]:
        """List all API keys, without their secrets. Requires the scope `admin`."""
        items: list[JsonDict] = self._call("GET", "/v1/keys")["items"]
        return items

    def create_key(
        self,
        name: str,
        scopes: Sequence[str],
        *,
        expires_at: str | None = None,
        origins: Sequence[str] = (),
    ) -> JsonDict:
        """Create an API key: `{"key": …, "secret": "ps_…"}`. The secret cannot be read again.

        Args:
            origins: bind the key to pages of these sites, where everybody can read it; it may
                only search.
        """
        body = {"name": name, "scopes": list(scopes), "expires_at": expires_at}
        body["origins"] = list(origins)
        return self._call("POST", "/v1/keys", json=body)

    def revoke_key(self, key_id: str) -> None:
        """Revoke an API key for good."""
        self._send("DELETE", f"/v1/keys/{segment(key_id)}")

    def _call(self, method: str, path: str, **arguments: Any) -> JsonDict:
        return body_of(self._send(method, path, **arguments))

    def _send(self, method: str, path: str, **arguments: Any) -> httpx.Response:
        with unavailable_on_error(self._address):
            response = self._http.request(method, path, **arguments)
        raise_for_status(response)
        return response
