"""Memory of a worker: `make bench-memory`.

Each case is a process that imports what a worker imports and ingests a job with four decoding
threads. Redis is a separate process, the embedder answers immediately, and the index keeps no
records, because in the distributed deployment Qdrant is a separate process as well.
"""

import importlib
import io
import re
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from PIL import Image

from bench.forgetful_index import ForgetfulIndex
from bench.huge_pictures import KINDS, write_huge
from bench.ingest_run import PHOTOS_PER_CHUNK, work_off
from bench.paced_embedder import PacedEmbedder
from petsearch.app.services import Services, build_services
from petsearch.domain import ImageMetadata, ItemStatus
from petsearch.jobs import Upload
from petsearch.observability import configure_logging
from petsearch.process_tuning import return_freed_memory
from petsearch.settings import Settings
from services.worker.runtime import build_runtime

_BAR_MB = 600
_HUGE_COUNT = 8
_HUGE_PER_CHUNK = 4
_Kind = Annotated[str, typer.Option(help="One of bench.huge_pictures.KINDS.")]
_Picture = Annotated[Path, typer.Option(help="Its file.")]
app = typer.Typer()


@dataclass(frozen=True)
class Memory:
    """Memory of this process in MB (10^6 bytes)."""

    now: float
    peak: float


def memory() -> Memory:
    """Resident memory, from /proc."""
    status = Path("/proc/self/status").read_text()

    def field(name: str) -> float:
        found = re.search(name + r":\s+(\d+) kB", status)
        assert found
        return int(found[1]) * 1024 / 1e6

    return Memory(field("VmRSS"), field("VmHWM"))


@app.command(name="all")
def run_all(*, count: Annotated[int, typer.Option(help="How many tiny photos.")] = 20_000) -> None:
    """Run every case, one after the other."""
    _say(f"bar: {_BAR_MB} MB; MB are 10^6 bytes")
    _run("base")
    _run("tiny", "--count", str(count))
    with tempfile.TemporaryDirectory() as folder:
        for kind in KINDS:
            picture = Path(folder) / "picture"
            _run("write", "--kind", kind, "--picture", str(picture))
            _run("huge", "--kind", kind, "--picture", str(picture))


@app.command()
def base() -> None:
    """Memory before any work."""
    _say(f"python, numpy, Pillow, bootstrap: {memory().now:.0f}")
    _import_adapters()
    _say(f"with the worker and the adapters of the distributed shape: {memory().now:.0f}")
    with tempfile.TemporaryDirectory() as folder:
        services = _open(Path(folder))
        build_runtime(services)
        _say(f"with open services: {memory().now:.0f}")
        services.close()


@app.command()
def tiny(*, count: Annotated[int, typer.Option()] = 100_000) -> None:
    """A job of distinct tiny photos."""
    with _Worker() as worker:
        marks = {count // 10, count // 2, count}
        for start in range(0, count, PHOTOS_PER_CHUNK):
            numbers = range(start, min(count, start + PHOTOS_PER_CHUNK))
            worker.ingest([[_tiny(number) for number in numbers]])
            for mark in sorted(marks & set(range(start + 1, numbers.stop + 1))):
                used = memory()
                _say(f"{mark} photos of 64 x 64: now {used.now:.0f}, peak {used.peak:.0f}")


@app.command()
def write(
    *, kind: Annotated[str, typer.Option()], picture: Annotated[Path, typer.Option()]
) -> None:
    """Write one huge picture."""
    write_huge(kind, picture)


@app.command()
def huge(*, kind: _Kind, picture: _Picture) -> None:
    """A job of huge pictures."""
    with _Worker() as worker:
        before = memory().now
        # Bytes after its end are no part of a picture, and make each another file.
        files = [picture.read_bytes() + bytes([n]) for n in range(_HUGE_COUNT)]
        encoded = len(files[0]) / 1e6
        worker.stage([files[:_HUGE_PER_CHUNK], files[_HUGE_PER_CHUNK:]])
        del files
        staged = memory()
        _forget_peak()
        worker.work()
        used, counts = memory(), worker.counts()
        _say(
            f"{kind}: peak {used.peak:.0f} (before {before:.0f}, one file {encoded:.1f}, work "
            f"{used.peak - staged.now:.0f}), afterwards {used.now:.0f}; {counts}"
        )


class _Worker:
    """Services and an ingestor with four decoding threads, over a temporary folder."""

    def __enter__(self) -> "_Worker":
        return_freed_memory()
        configure_logging(level="ERROR")
        _import_adapters()
        self._folder = tempfile.TemporaryDirectory()
        self._services = _open(Path(self._folder.name))
        self._services.initialise()
        self._worker = build_runtime(self._services).chunks
        self._job_id = self._services.jobs.open("bench").job_id
        self._chunks: list[int] = []
        self._next = 0
        return self

    def __exit__(self, *_: object) -> None:
        self._services.close()
        self._folder.cleanup()

    def stage(self, chunks: Sequence[Sequence[bytes]]) -> None:
        """Add chunks of photos to the job."""
        for photos in chunks:
            uploads = (Upload(data, ImageMetadata()) for data in photos)
            self._services.jobs.add_photos(self._job_id, uploads, len(photos))
            self._chunks.append(self._next)
            self._next += 1

    def work(self) -> None:
        """Ingest what was staged."""
        work_off(self._services, self._worker, self._job_id, self._chunks)
        self._chunks.clear()

    def ingest(self, chunks: Sequence[Sequence[bytes]]) -> None:
        """Stage photos and ingest them."""
        self.stage(chunks)
        self.work()

    def counts(self) -> str:
        """The number of items by outcome."""
        counts = self._services.jobs.get(self._job_id).counts
        found = ", ".join(f"{n} {status.value}" for status, n in counts.items() if n)
        page = self._services.jobs.outcomes(self._job_id, ItemStatus.REFUSED, limit=100)
        reasons = {outcome.reason for outcome in page.outcomes}
        return f"{found} ({'; '.join(str(r) for r in reasons)})" if reasons else found


def _open(folder: Path) -> Services:
    settings = Settings(
        embedder_url="local:",
        index_url="edge:none",
        store_url=f"file:{folder / 'objects'}",
        redis_url=f"local:{folder / 'redis'}",
        decode_threads=4,
        job_chunks=1_000_000,
    )
    return build_services(settings, embedder=PacedEmbedder(None), index=ForgetfulIndex())


def _import_adapters() -> None:
    for name in ("adapters.objects.minio", "adapters.qdrant.index"):
        importlib.import_module(f"petsearch.{name}")
    importlib.import_module("services.worker.main")


def _tiny(number: int) -> bytes:
    """A JPEG of 64 x 64 pixels, different for every number."""
    coarse = np.random.default_rng(number).integers(0, 256, (4, 4, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(coarse).resize((64, 64)).save(buffer, "JPEG")
    return buffer.getvalue()


def _forget_peak() -> None:
    """Reset the peak that the kernel records (Documentation/filesystems/proc.rst)."""
    Path("/proc/self/clear_refs").write_text("5")


def _run(*arguments: str) -> None:
    subprocess.run([sys.executable, "-m", "bench.worker_memory", *arguments], check=True)


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    app()
