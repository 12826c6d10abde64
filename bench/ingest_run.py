"""One ingest of a folder of photos with the real components, in its own process.

Photos are first staged like uploads to the API; then chunks are ingested as by a worker. Prints
photos per second from the first chunk to the last point as JSON.
"""

import json
import queue
import sys
import tempfile
import threading
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import typer
from pydantic import SecretStr

from bench.paced_embedder import PacedEmbedder
from bench.photo_loop import WARM_UP
from petsearch.app.services import Services, build_services
from petsearch.domain import ImageMetadata, ItemStatus
from petsearch.jobs import Upload
from petsearch.observability import configure_logging
from petsearch.settings import Settings
from services.worker.chunk_worker import ChunkWorker
from services.worker.runtime import build_runtime

PHOTOS_PER_CHUNK = 64


def main(
    *,
    photos: Annotated[Path, typer.Option(help="A folder of photos.")],
    limit: Annotated[int | None, typer.Option(min=2 * WARM_UP)] = None,
    model: Annotated[str, typer.Option(help="A model to run; empty: an embedder of a pace.")] = "",
    pace: Annotated[float, typer.Option(help="Images per second; 0: answers at once.")] = 0.0,
    s3: Annotated[str, typer.Option(help="A bucket's address; empty: a folder.")] = "",
) -> None:
    """Ingest and print `{"photos_per_s": …, "precision": …}`."""
    configure_logging(level="ERROR")
    with tempfile.TemporaryDirectory() as folder:
        services = _open(Path(folder), model, pace, s3)
        try:
            services.initialise()
            rate = _ingest(services, sorted(photos.iterdir())[:limit])
            precision = services.parts.embedder.models()[0].precision
        finally:
            services.close()
    sys.stdout.write(json.dumps({"photos_per_s": rate, "precision": precision}) + "\n")


def _open(folder: Path, model: str, pace: float, s3: str) -> Services:
    settings = Settings(
        embedder_url="local:",
        index_url=f"edge:{folder / 'index'}",
        store_url=s3 or f"file:{folder / 'objects'}",
        redis_url=f"local:{folder / 'redis'}",
        model=model,
        s3_access_key="bench",
        s3_secret_key=SecretStr("bench-secret"),
    )
    # No worker listens: every chunk is handed out at once, and run here.
    settings = settings.model_copy(update={"job_chunks": 1_000_000})
    return build_services(settings, embedder=None if model else PacedEmbedder(pace or None))


def _ingest(services: Services, paths: list[Path]) -> float:
    worker = build_runtime(services).chunks
    # The model's labels, the index's folders and the store's connections are there from now on.
    work_off(services, worker, *_stage(services, paths[:WARM_UP]))
    job_id, chunks = _stage(services, paths[WARM_UP:])
    started = time.perf_counter()
    work_off(services, worker, job_id, chunks)
    seconds = time.perf_counter() - started
    counts, count = services.jobs.get(job_id).counts, len(paths) - WARM_UP
    assert counts[ItemStatus.INGESTED] + counts[ItemStatus.DUPLICATE] == count, counts
    return count / seconds


def _stage(services: Services, paths: list[Path]) -> tuple[str, range]:
    """Stage a sealed job; returns it with the numbers of its chunks."""
    job_id = services.jobs.open("bench").job_id
    starts = range(0, len(paths), PHOTOS_PER_CHUNK)
    for start in starts:
        some = paths[start : start + PHOTOS_PER_CHUNK]
        uploads = (Upload(path.read_bytes(), ImageMetadata(filename=path.name)) for path in some)
        services.jobs.add_photos(job_id, uploads, len(some))
    services.jobs.seal(job_id)
    return job_id, range(len(starts))


def work_off(services: Services, worker: ChunkWorker, job_id: str, chunks: Iterable[int]) -> None:
    """Ingest chunks, as many at a time as a worker has threads."""
    waiting: queue.SimpleQueue[int] = queue.SimpleQueue()
    for chunk_no in chunks:
        waiting.put(chunk_no)

    def work() -> None:
        while True:
            try:
                chunk_no = waiting.get_nowait()
            except queue.Empty:
                return
            worker.work(job_id, chunk_no)

    threads = [threading.Thread(target=work) for _ in range(services.settings.worker_threads)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


if __name__ == "__main__":
    typer.run(main)
