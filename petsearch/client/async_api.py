"""The Python client of the REST API for asyncio.

Made from api.py by `make async-client`: change that file instead.
"""

import asyncio
import io
import json
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO, Self

import httpx
from httpx_sse import ServerSentEvent, aconnect_sse

from petsearch.client.photo import Photo
from petsearch.client.rest import (
    body_of,
    fit_in_json,
    open_async_http,
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


class AsyncClient:
    """A client of a petsearch server.

    Args:
        base_url: such as `http://127.0.0.1:8000`.
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
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self._address = base_url
        self._http = open_async_http(base_url, api_key, timeout_s, transport)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def search(self, query: str, **options: Any) -> JsonDict:
        """Search by text; `options` as in `GET /v1/search` (limit, status, not_status, missing …).

        A list is any of its values, and of `tag` all of them.
        """
        return await self._call("GET", "/v1/search", params={"q": query, **without_none(options)})

    async def search_composed(self, query: JsonDict, photo: bytes | None = None) -> JsonDict:
        """Search by a query of several parts, as in `POST /v1/search`, and by a photo if given."""
        if photo is None:
            return await self._call("POST", "/v1/search", json=query)
        data = {"query": json.dumps(query)}
        return await self._call(
            "POST", "/v1/search/image", files={"photo": ("photo", photo)}, data=data
        )

    async def facets(self, by: str, **filters: Any) -> dict[str, int]:
        """Count images per `breed`, `species`, `status`, `tag` or `attributes`; most first."""
        answer = await self.count_by(by, **filters)
        return {entry["value"]: entry["count"] for entry in answer["values"]}

    async def count_by(self, by: str, **filters: Any) -> JsonDict:
        """Count as `facets` does, and tell how many images are `unsure`, as `GET /v1/facets`."""
        return await self._call("GET", "/v1/facets", params={"by": by, **without_none(filters)})

    async def search_photo(self, data: bytes, **options: Any) -> JsonDict:
        """Search by an encoded photo.

        Args:
            options: limit, min_score, species, breed, status, animal_id, their opposites with
                `not_`, tag, not_tag and missing; for other options use `search_composed`.
        """
        return await self._call(
            "POST",
            "/v1/search/image",
            files={"photo": ("photo", data)},
            data=without_none(options),
        )

    async def similar(self, image_id: str, **options: Any) -> JsonDict:
        """Search photos that look like an indexed one."""
        return await self._call(
            "GET", f"/v1/images/{segment(image_id)}/similar", params=without_none(options)
        )

    async def image(self, image_id: str) -> JsonDict:
        """Get an image."""
        return await self._call("GET", f"/v1/images/{segment(image_id)}")

    async def thumbnail(self, image_id: str) -> bytes:
        """Get the small copy of an image, as a file."""
        response = await self._send("GET", f"/v1/images/{segment(image_id)}/thumbnail")
        return response.content

    async def list_images(self, **options: Any) -> JsonDict:
        """List a page of images, newest first; `options` as in `GET /v1/images` (limit …)."""
        return await self._call("GET", "/v1/images", params=without_none(options))

    async def duplicates(self, tier: str, **options: Any) -> JsonDict:
        """List a page of groups of images that are alike: `exact`, `same_photo` or `similar`.

        Args:
            options: limit, cursor and min_score. A page may have fewer groups than `limit`, even
                none, before the end.
        """
        params = {"tier": tier, **without_none(options)}
        return await self._call("GET", "/v1/duplicates", params=params)

    async def image_ids(self, prefix: str) -> list[str]:
        """List the first 10 ids that begin with at least 4 characters: what a short id may mean."""
        items: list[str] = (await self._call("GET", "/v1/images/ids", params={"prefix": prefix}))[
            "items"
        ]
        return items

    async def change_image(self, image_id: str, changes: JsonDict) -> JsonDict:
        """Change the metadata of an image by a JSON merge patch: null clears a field."""
        headers = {"Content-Type": "application/merge-patch+json"}
        return await self._call(
            "PATCH", f"/v1/images/{segment(image_id)}", json=changes, headers=headers
        )

    async def delete_image(self, image_id: str) -> None:
        """Delete an image."""
        await self._send("DELETE", f"/v1/images/{segment(image_id)}")

    async def delete_images_of_animal(self, animal_id: str) -> int:
        """Delete all images of an animal, and return how many there were."""
        deleted, remaining = 0, 1
        while remaining:
            answer = await self._call("DELETE", "/v1/images", params={"animal_id": animal_id})
            deleted, remaining = deleted + answer["deleted"], answer["remaining"]
        return deleted

    async def stats(self) -> JsonDict:
        """Get counts of images, species, statuses and jobs."""
        return await self._call("GET", "/v1/stats")

    async def limits(self) -> JsonDict:
        """Get what an upload may hold: `image_bytes`, `photos_per_request`, `request_bytes`."""
        return await self._call("GET", "/v1/limits")

    async def open_job(
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
        return await self._call("POST", "/v1/jobs", json=body, headers=headers)

    async def read_source(self, source: JsonDict, **options: Any) -> JsonDict:
        """Create a job whose photos the server reads, such as `{"type": "s3", "bucket": …}`.

        Args:
            options: as in `open_job`.
        """
        return await self._call("POST", "/v1/jobs", json={"source": source, **options})

    async def read_urls(self, urls: list[str], **options: Any) -> JsonDict:
        """Create a job that reads photos at URLs; a list that is too long is sent as a manifest.

        Args:
            options: as in `open_job`.
        """
        if fit_in_json(urls):
            return await self.read_source({"type": "urls", "urls": urls}, **options)
        lines = io.BytesIO("".join(json.dumps({"url": url}) + "\n" for url in urls).encode())
        return await self._upload("manifest", ("urls.jsonl", lines), options)

    async def upload_source(
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
            return await self._upload(kind, (safe_filename(path.name), file), options)

    async def _upload(self, kind: str, file: tuple[str, BinaryIO], options: JsonDict) -> JsonDict:
        data = {"kind": kind, **options}
        return await self._call("POST", "/v1/jobs/upload", files={"file": file}, data=data)

    async def add_photos(
        self, job_id: str, photos: Sequence[Photo], *, key: str | None = None
    ) -> JsonDict:
        """Add at most 64 photos to a job. Calls with the same `key` count once."""
        files = [("photos", (photo.filename, photo.data)) for photo in photos]
        metadata = json.dumps([photo.full_metadata for photo in photos])
        return await self._call(
            "POST",
            f"/v1/jobs/{segment(job_id)}/photos",
            files=files,
            data={"metadata": metadata},
            headers=without_none({"Idempotency-Key": key}),
        )

    async def add_known(
        self, job_id: str, photos: Sequence[tuple[str, JsonDict]], *, key: str | None = None
    ) -> list[int]:
        """Add photos that the server has, as (SHA-256, metadata). Calls with one `key` count once.

        Returns:
            the positions of photos that the server does not have, which were not added.
        """
        items = [{"sha256": sha256, "metadata": metadata} for sha256, metadata in photos]
        answer = await self._call(
            "POST",
            f"/v1/jobs/{segment(job_id)}/known",
            json={"items": items},
            headers=without_none({"Idempotency-Key": key}),
        )
        missing: list[int] = answer["missing"]
        return missing

    async def seal_job(self, job_id: str, *, timeout_s: float | None = None) -> JsonDict:
        """End adding photos to a job; `timeout_s` replaces the client's timeout."""
        timeout = without_none({"timeout": timeout_s})
        return await self._call("POST", f"/v1/jobs/{segment(job_id)}/seal", **timeout)

    async def control_job(self, job_id: str, action: str) -> JsonDict:
        """Perform an `action` on a job: `pause`, `resume`, `cancel` or `retry`."""
        return await self._call("POST", f"/v1/jobs/{segment(job_id)}/{action}")

    async def delete_job(self, job_id: str) -> None:
        """Delete the record of a job that has ended. Its images stay."""
        await self._send("DELETE", f"/v1/jobs/{segment(job_id)}")

    async def watch_job(self, job_id: str) -> AsyncIterator[JsonDict]:
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
                async for event in self._events(job_id, last_id):
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
            await asyncio.sleep(pause_s)

    async def _events(self, job_id: str, last_id: str) -> AsyncIterator[ServerSentEvent]:
        """The events of one stream, those after `last_id`."""
        path = f"/v1/jobs/{segment(job_id)}/events"
        headers = {"Last-Event-ID": last_id} if last_id else {}
        with unavailable_on_error(self._address):
            async with aconnect_sse(self._http, "GET", path, headers=headers) as stream:
                if not stream.response.is_success:
                    await stream.response.aread()
                raise_for_status(stream.response)
                async for event in stream.aiter_sse():
                    if event.data:  # a comment has none
                        yield event

    async def job(self, job_id: str) -> JsonDict:
        """Get a job."""
        return await self._call("GET", f"/v1/jobs/{segment(job_id)}")

    async def jobs(self, limit: int = 20) -> list[JsonDict]:
        """List jobs, newest first."""
        items: list[JsonDict] = (await self._call("GET", "/v1/jobs", params={"limit": limit}))[
            "items"
        ]
        return items

    async def job_items(
        self, job_id: str, status: str | None = None, *, warned: bool | None = None
    ) -> AsyncIterator[JsonDict]:
        """Iterate over the outcomes of a job's items, of one status or with warnings if asked."""
        cursor: str | None = None
        while True:
            given = {"status": status, "warned": warned, "cursor": cursor, "limit": 1000}
            params = without_none(given)
            page = await self._call("GET", f"/v1/jobs/{segment(job_id)}/items", params=params)
            for item in page["items"]:
                yield item
            cursor = page["next_cursor"]
            if cursor is None:
                return

    async def models(self) -> list[JsonDict]:
        """List models that are published, loaded or have a collection, the current one first."""
        items: list[JsonDict] = (await self._call("GET", "/v1/models"))["items"]
        return items

    async def reindex(self, model_id: str) -> JsonDict:
        """Build the collection of a published model, and return the job that does it."""
        return await self._call("POST", "/v1/reindex", json={"model_id": model_id})

    async def promote(self, model_id: str, *, accept_worse: bool = False) -> JsonDict:
        """Make a model with a finished collection the current one, if it passes the checks.

        Args:
            accept_worse: promote it even if it finds photos of the same breed worse.
        """
        params = {"accept_worse": accept_worse}
        return await self._call("POST", f"/v1/models/{segment(model_id)}/promote", params=params)

    async def rollback(self) -> JsonDict:
        """Make the model before the last promotion the current one again."""
        return await self._call("POST", "/v1/models/rollback")

    async def drop_collection(self, model_id: str) -> None:
        """Delete the collection of a model that is not current."""
        await self._send("DELETE", f"/v1/models/{segment(model_id)}/collection")

    async def list_keys(self) -> list[JsonDict]:
        """List all API keys, without their secrets. Requires the scope `admin`."""
        items: list[JsonDict] = (await self._call("GET", "/v1/keys"))["items"]
        return items

    async def create_key(
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
        return await self._call("POST", "/v1/keys", json=body)

    async def revoke_key(self, key_id: str) -> None:
        """Revoke an API key for good."""
        await self._send("DELETE", f"/v1/keys/{segment(key_id)}")

    async def _call(self, method: str, path: str, **arguments: Any) -> JsonDict:
        return body_of(await self._send(method, path, **arguments))

    async def _send(self, method: str, path: str, **arguments: Any) -> httpx.Response:
        with unavailable_on_error(self._address):
            response = await self._http.request(method, path, **arguments)
        raise_for_status(response)
        return response
