"""Bulk upload through the API: in parallel, as one job, and only what the server does not have."""

import json
import threading
import time
import uuid
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, wait
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any

from petsearch.client.api import Client
from petsearch.client.local_photos import PhotoSource
from petsearch.client.photo import Photo
from petsearch.client.retries import with_retries
from petsearch.domain import JsonDict, sha256_of
from petsearch.domain.errors import Conflict, PetsearchError
from petsearch.domain.metadata import PhotoMetadata, fitting_metadata

BATCH_PHOTOS = 64
BATCH_BYTES = 32 * 1024 * 1024
_METADATA_BYTES = 400 * 1024
"""Of all photos of a batch: a server takes 512 KB of what is no file in a form."""
_PART_BYTES = 2048
"""What a photo takes up in a form beside its bytes and its metadata: a name of 200 characters, and
the lines around it."""
_POLL_S = 0.25
_GOODBYE_S = 5.0
"""How long an upload that fails or is interrupted waits for what is on its way, and then for the
server to seal its job."""


@dataclass(frozen=True)
class Progress:
    """The progress of an upload."""

    sent: int
    """Photos that were uploaded or that the server had."""
    job: JsonDict


def upload(
    client: Client,
    source: PhotoSource,
    *,
    name: str,
    threads: int = 2,
    on_progress: Callable[[Progress], None] = lambda _: None,
    **options: Any,
) -> JsonDict:
    """Upload all photos of `source` as one job, wait until it has ended, and return the job.

    After an interruption, another call continues: photos that the server has are not sent again.
    What does not fit of a photo's metadata is left out, with an entry in `source.warnings`; a photo
    that no request can hold is left out, with an entry in `source.unreadable`.

    Args:
        options: of the job, as in `Client.open_job`.

    Raises:
        Unavailable: the server did not answer for ten minutes, or not to the first call.
    """
    limits = client.limits()
    job_id = client.open_job(name, expected=source.count, **options)["job_id"]
    stopping, sent = threading.Event(), 0
    try:
        batches = _batches(
            _sendable(source, limits["request_bytes"]),
            most_photos=min(BATCH_PHOTOS, limits["photos_per_request"]),
            most_bytes=min(BATCH_BYTES, limits["request_bytes"]),
        )
        for count in _send_all(_Sender(client, job_id, stopping), threads, batches):
            sent += count
            on_progress(Progress(sent, with_retries(lambda: client.job(job_id))))
        with_retries(lambda: client.seal_job(job_id))
    except BaseException:  # also Ctrl-C: what was sent stays, and the job ends
        stopping.set()
        with suppress(PetsearchError):
            client.seal_job(job_id, timeout_s=_GOODBYE_S)
        raise
    return _wait_until_final(client, job_id, sent, on_progress)


@dataclass(frozen=True)
class _Sender:
    """Sends batches of a job in threads, which end with the process whatever they wait for."""

    client: Client
    job_id: str
    stopping: threading.Event
    """Set when the upload has failed."""

    def start(self, batch: list[Photo], hashes: list[str]) -> Future[int]:
        """Send a batch in a thread of its own, and return the number of its photos."""
        future: Future[int] = Future()

        def run() -> None:
            try:
                future.set_result(self._send(batch, hashes))
            except BaseException as error:  # the thread's edge: the upload raises it
                future.set_exception(error)

        threading.Thread(target=run, name="upload", daemon=True).start()
        return future

    def _send(self, batch: list[Photo], hashes: list[str]) -> int:
        known = [(sha256, photo.full_metadata) for sha256, photo in zip(hashes, batch, strict=True)]
        # A retry after a lost response has the same key, so that its photos count once.
        known_key, photos_key = uuid.uuid4().hex, uuid.uuid4().hex
        call = partial(with_retries, sleep=self._sleep)
        missing = call(lambda: self.client.add_known(self.job_id, known, key=known_key))
        if missing:
            photos = [batch[position] for position in missing]
            call(lambda: self.client.add_photos(self.job_id, photos, key=photos_key))
        return len(batch)

    def _sleep(self, seconds: float) -> None:
        if self.stopping.wait(seconds):
            raise Conflict("The upload has failed.")


def _send_all(sender: _Sender, window: int, batches: Iterable[list[Photo]]) -> Iterator[int]:
    """Send batches, at most `window` at a time, and yield the size of each that is sent.

    A batch waits for another one with the same photo: which of the two is added first decides
    what the record of their image keeps.
    """
    running: dict[Future[int], frozenset[str]] = {}
    try:
        for batch in batches:
            hashes = [sha256_of(photo.data) for photo in batch]
            while len(running) >= window or not all(
                map(frozenset(hashes).isdisjoint, running.values())
            ):
                yield from _results(running)
            running[sender.start(batch, hashes)] = frozenset(hashes)
        while running:
            yield from _results(running)
    except BaseException:
        sender.stopping.set()
        wait(running, _GOODBYE_S)  # a job that is sealed meanwhile would not take what they send
        raise


def _results(running: dict[Future[int], frozenset[str]]) -> Iterator[int]:
    """Wait for a call to finish; remove those that have from `running`, and yield their results."""
    for future in wait(running, return_when=FIRST_COMPLETED).done:
        del running[future]
        yield future.result()


def _sendable(source: PhotoSource, most_bytes: int) -> Iterator[Photo]:
    """The photos as they are sent, without those that are too large for any request."""
    for photo in source.photos:
        fitting = _fitting(photo, source.warnings)
        if _size_in_form(fitting) <= most_bytes:
            yield fitting
        else:
            reason = f"The server takes at most {most_bytes / 1e6:.1f} MB in a request."
            source.unreadable.append((fitting.filename, reason))


def _fitting(photo: Photo, warnings: list[tuple[str, str]]) -> Photo:
    """The photo without what the API refuses of its metadata, and the other photos with it."""
    metadata, problems = fitting_metadata(photo.full_metadata, photo.filename)
    if not problems:
        return photo
    warnings += [
        (metadata.filename, f"{name}: {problem}. What does not fit is left out.")
        for name, problem in problems.items()
    ]
    said = PhotoMetadata.of(metadata).model_dump(mode="json", exclude_none=True)
    return Photo(metadata.filename, photo.data, said)


def _batches(
    photos: Iterable[Photo], *, most_photos: int, most_bytes: int
) -> Iterator[list[Photo]]:
    batch: list[Photo] = []
    size = said = 0
    for photo in photos:
        more, more_said = _size_in_form(photo), _size_of_metadata(photo)
        is_full = size + more > most_bytes or said + more_said > _METADATA_BYTES
        if batch and (len(batch) == most_photos or is_full):
            yield batch
            batch, size, said = [], 0, 0
        batch.append(photo)
        size += more
        said += more_said
    if batch:
        yield batch


def _size_in_form(photo: Photo) -> int:
    return len(photo.data) + _size_of_metadata(photo) + _PART_BYTES


def _size_of_metadata(photo: Photo) -> int:
    return len(json.dumps(photo.full_metadata))


def _wait_until_final(
    client: Client, job_id: str, sent: int, on_progress: Callable[[Progress], None]
) -> JsonDict:
    while True:
        job = with_retries(lambda: client.job(job_id))
        on_progress(Progress(sent, job))
        if job["finished_at"] is not None:
            return job
        time.sleep(_POLL_S)
