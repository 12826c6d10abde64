"""Bulk upload through the API: in parallel, as one job, and only what the server does not have."""

import random
import time
import uuid
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import Any, TypeVar

from petsearch.client.api import Client, Photo
from petsearch.client.local_photos import PhotoSource
from petsearch.domain import JsonDict, sha256_of
from petsearch.domain.errors import Unavailable

BATCH_PHOTOS = 64
BATCH_BYTES = 32 * 1024 * 1024
PATIENCE_S = 600.0
"""How long a call to an unavailable server is retried before the upload fails."""
_POLL_S = 0.25
_LONGEST_PAUSE_S = 8.0
_Answer = TypeVar("_Answer")


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

    Args:
        options: of the job, as in `Client.open_job`.

    Raises:
        Unavailable: the server did not answer for `PATIENCE_S`, or not to the first call.
    """
    job = client.open_job(name, expected=source.count, **options)
    job_id = job["job_id"]
    sent = 0
    with ThreadPoolExecutor(threads, thread_name_prefix="upload") as pool:
        for count in _send_all(pool, threads, client, job_id, source.photos):
            sent += count
            on_progress(Progress(sent, with_retries(lambda: client.job(job_id))))
    with_retries(lambda: client.seal_job(job_id))
    return _wait_until_final(client, job_id, sent, on_progress)


def _send_all(
    pool: ThreadPoolExecutor, window: int, client: Client, job_id: str, photos: Iterable[Photo]
) -> Iterator[int]:
    """Send photos in batches, at most `window` at a time, and yield the size of each that is sent.

    A batch waits for another one with the same photo: which of the two is added first decides
    what the record of their image keeps.
    """
    running: dict[Future[int], frozenset[str]] = {}
    for batch in _batches(photos):
        hashes = [sha256_of(photo.data) for photo in batch]
        while len(running) >= window or not all(
            map(frozenset(hashes).isdisjoint, running.values())
        ):
            yield from _results(running)
        running[pool.submit(_send, client, job_id, batch, hashes)] = frozenset(hashes)
    while running:
        yield from _results(running)


def _results(running: dict[Future[int], frozenset[str]]) -> Iterator[int]:
    """Wait for a call to finish; remove those that have from `running`, and yield their results."""
    for future in wait(running, return_when=FIRST_COMPLETED).done:
        del running[future]
        yield future.result()


def _send(client: Client, job_id: str, batch: list[Photo], hashes: list[str]) -> int:
    known = [(sha256, photo.full_metadata) for sha256, photo in zip(hashes, batch, strict=True)]
    # A retry after a lost response has the same key, so that its photos count once.
    known_key, photos_key = uuid.uuid4().hex, uuid.uuid4().hex
    missing = with_retries(lambda: client.add_known(job_id, known, key=known_key))
    if missing:
        photos = [batch[position] for position in missing]
        with_retries(lambda: client.add_photos(job_id, photos, key=photos_key))
    return len(batch)


def with_retries(call: Callable[[], _Answer], *, patience_s: float = PATIENCE_S) -> _Answer:
    """Call an idempotent function, and retry it with growing pauses while it is unavailable.

    Raises:
        Unavailable: it still was after `patience_s`.
    """
    deadline = time.monotonic() + patience_s
    longest_s = 0.5
    while True:
        try:
            return call()
        except Unavailable:
            # Jitter, so that many clients do not retry at the same time.
            pause_s = random.uniform(longest_s / 2, longest_s)
            if time.monotonic() + pause_s > deadline:
                raise
        time.sleep(pause_s)
        longest_s = min(2 * longest_s, _LONGEST_PAUSE_S)


def _batches(photos: Iterable[Photo]) -> Iterator[list[Photo]]:
    batch: list[Photo] = []
    size = 0
    for photo in photos:
        if batch and (len(batch) == BATCH_PHOTOS or size + len(photo.data) > BATCH_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(photo)
        size += len(photo.data)
    if batch:
        yield batch


def _wait_until_final(
    client: Client, job_id: str, sent: int, on_progress: Callable[[Progress], None]
) -> JsonDict:
    while True:
        job = with_retries(lambda: client.job(job_id))
        on_progress(Progress(sent, job))
        if job["finished_at"] is not None:
            return job
        time.sleep(_POLL_S)
