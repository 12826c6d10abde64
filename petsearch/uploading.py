"""Bulk upload through the API: sends only what the server has not, in parallel, as one job."""

import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from functools import partial
from itertools import islice

from petsearch.client import Client, Photo
from petsearch.model import JobState, JsonDict, sha256_of
from petsearch.photo_sources import PhotoSource

BATCH_PHOTOS = 64
BATCH_BYTES = 32 * 1024 * 1024
_POLL_S = 0.25


@dataclass(frozen=True)
class Progress:
    """How far an upload is."""

    sent: int
    """Photos read and either uploaded or known to the server."""
    job: JsonDict


def upload(
    client: Client,
    source: PhotoSource,
    *,
    name: str,
    threads: int = 2,
    on_progress: Callable[[Progress], None] = lambda _: None,
) -> JsonDict:
    """Send every photo of `source` as one job and wait until each is accounted; the job.

    Run again after a stop, it goes on where it was: what the server has is not sent again.
    """
    job = client.open_job(name, expected=source.count)
    job_id = job["job_id"]
    sent = 0
    calls = (
        partial(_send, client, job_id, batch, str(number))
        for number, batch in enumerate(_batches(source.photos))
    )
    with ThreadPoolExecutor(threads, thread_name_prefix="upload") as pool:
        for count in _in_order_of_completion(pool, calls, threads):
            sent += count
            on_progress(Progress(sent, client.job(job_id)))
    client.seal_job(job_id)
    return _wait_until_final(client, job_id, sent, on_progress)


def _send(client: Client, job_id: str, batch: list[Photo], key: str) -> int:
    """Send a batch; the key makes each call safe to repeat."""
    known = [(sha256_of(photo.data), photo.described) for photo in batch]
    missing = client.add_known(job_id, known, key=f"known {key}")
    if missing:
        photos = [batch[position] for position in missing]
        client.add_photos(job_id, photos, key=f"photos {key}")
    return len(batch)


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


def _in_order_of_completion(
    pool: ThreadPoolExecutor, calls: Iterator[Callable[[], int]], window: int
) -> Iterator[int]:
    """Results of `calls`, of which at most `window` and one more are read ahead."""
    running: set[Future[int]] = {pool.submit(call) for call in islice(calls, window)}
    while running:
        finished, running = wait(running, return_when=FIRST_COMPLETED)
        running |= {pool.submit(call) for call in islice(calls, len(finished))}
        for future in finished:
            yield future.result()


def _wait_until_final(
    client: Client, job_id: str, sent: int, on_progress: Callable[[Progress], None]
) -> JsonDict:
    pause = threading.Event()
    while True:
        job = client.job(job_id)
        on_progress(Progress(sent, job))
        if JobState(job["state"]).is_final:
            return job
        pause.wait(_POLL_S)
