"""Benchmark of the standalone shape: ingest beside a bare loop, health and search while it runs.

`make bench` prints ratios from paired runs: each pair is a bare loop (decode and embed, nothing
else) and a real ingest of the same photos (client, HTTP, queue, worker, store, index), one after
the other, so that a busy machine slows both.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import httpx
import numpy as np
import typer

from petsearch import images
from petsearch.client import Client
from petsearch.observability import configure_logging
from petsearch.photo_sources import DatasetOptions, from_dataset
from petsearch.process_tuning import tune_process
from petsearch.prompts import OXFORD_LABELS, apply_templates
from petsearch.uploading import upload

if TYPE_CHECKING:
    from petsearch.adapters.open_clip_model import OpenClipModel

_SHARED = Path("../shared")
_BATCH_SIZES = (16, 32)


@dataclass(frozen=True)
class Pair:
    """One bare loop and one ingest of the same photos."""

    photos: int
    bare_per_s: float
    ingest_per_s: float
    longest_livez_gap_ms: float
    searches_while_ingesting: int
    search_p95_while_ingesting_ms: float

    @property
    def ratio(self) -> float:
        """Ingest rate over the bare loop's."""
        return self.ingest_per_s / self.bare_per_s


@dataclass(frozen=True)
class Report:
    """All pairs, and a warm text search beside the encoding alone."""

    pairs: list[Pair]
    median_ratio: float
    precision: str
    text_encode_p50_ms: float
    search_p50_ms: float
    search_p95_ms: float


def main(
    *,
    model: Annotated[str, typer.Option()] = f"dir:{_SHARED / 'models/pets-base'}",
    dataset: Annotated[str, typer.Option()] = str(_SHARED / "data/oxford-iiit-pet"),
    split: Annotated[str, typer.Option()] = "test",
    pairs: Annotated[int, typer.Option(min=1)] = 3,
    limit: Annotated[int | None, typer.Option(min=1)] = None,
    as_json: Annotated[bool, typer.Option("--json")] = False,
) -> None:
    """Run the pairs and print the report."""
    tune_process()
    configure_logging(level="ERROR")
    options = DatasetOptions(split, label_column=None, limit=limit)
    photos = [photo.data for photo in from_dataset(dataset, options).photos]
    clip = _load(model)
    measured = [_pair(clip, model, dataset, options, photos) for _ in range(pairs)]
    with _server(model) as address:
        encode_ms, search_ms = _text_search(clip, address)
    report = Report(
        pairs=measured,
        median_ratio=statistics.median(pair.ratio for pair in measured),
        precision=clip.info.precision,
        text_encode_p50_ms=statistics.median(encode_ms),
        search_p50_ms=statistics.median(search_ms),
        search_p95_ms=float(np.percentile(search_ms, 95)),
    )
    sys.stdout.write(json.dumps(asdict(report), indent=2) if as_json else _to_text(report))
    sys.stdout.write("\n")


def _load(model: str) -> "OpenClipModel":
    # Imported here: OpenMP must be told how to wait before torch is there.
    from petsearch.adapters.open_clip_model import load_model

    return load_model(model)


def _pair(
    clip: "OpenClipModel", model: str, dataset: str, options: DatasetOptions, photos: list[bytes]
) -> Pair:
    bare = max(_bare_loop(clip, photos, size) for size in _BATCH_SIZES)
    with _server(model) as address, Client(address) as client, _watch(address) as watched:
        started = time.perf_counter()
        job = upload(client, from_dataset(dataset, options), name="bench")
        seconds = time.perf_counter() - started
    assert job["counts"]["ingested"] == len(set(photos)), job
    return Pair(
        photos=len(photos),
        bare_per_s=bare,
        ingest_per_s=len(photos) / seconds,
        longest_livez_gap_ms=max(np.diff(watched.livez_at)) * 1e3,
        searches_while_ingesting=len(watched.search_ms),
        search_p95_while_ingesting_ms=float(np.percentile(watched.search_ms, 95)),
    )


def _bare_loop(clip: "OpenClipModel", photos: list[bytes], batch_size: int) -> float:
    """Photos per second of decode, preprocess and encode, one batch after the other."""
    limits = images.ImageLimits()
    started = time.perf_counter()
    for start in range(0, len(photos), batch_size):
        batch = photos[start : start + batch_size]
        pictures = [images.decode(data, limits).picture for data in batch]
        clip.encode_pixels(np.stack([images.to_pixels(p, clip.info.pixel_spec) for p in pictures]))
    return len(photos) / (time.perf_counter() - started)


@contextmanager
def _server(model: str) -> Iterator[str]:
    """A standalone server as a process of its own; its address."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "petsearch", "serve", "--data-dir", folder]
        process = subprocess.Popen(
            [*command, "--model", model, "--port", "0"],
            stderr=subprocess.PIPE,
            text=True,
            # Nobody reads what comes after the address: a full pipe would stop the server.
            env={**os.environ, "PETSEARCH_LOG_LEVEL": "ERROR"},
        )
        assert process.stderr is not None
        try:
            yield next(
                line.split()[-1] for line in process.stderr if line.startswith("petsearch is ready")
            )
        finally:
            process.terminate()
            process.wait()


class _Watched:
    """When /livez answered (seconds), and how long searches took (ms)."""

    def __init__(self) -> None:
        self.livez_at: list[float] = []
        self.search_ms: list[float] = []


@contextmanager
def _watch(address: str) -> Iterator[_Watched]:
    watched, done = _Watched(), threading.Event()

    def ask_livez() -> None:
        with httpx.Client(base_url=address, timeout=30) as http:
            while not done.wait(0.02):
                http.get("/livez").raise_for_status()
                watched.livez_at.append(time.perf_counter())

    def ask_search() -> None:
        with httpx.Client(base_url=address, timeout=30) as http:
            while not done.wait(0.1):
                watched.search_ms.append(_timed_search(http, "a sleeping beagle"))

    threads = [threading.Thread(target=ask_livez), threading.Thread(target=ask_search)]
    for thread in threads:
        thread.start()
    try:
        yield watched
    finally:
        done.set()
        for thread in threads:
            thread.join()


def _text_search(clip: "OpenClipModel", address: str) -> tuple[list[float], list[float]]:
    """ms of encoding one prompted query here, and of the same search over HTTP, in turns."""
    queries = [f"{age} {label.breed}" for age in ("young", "old") for label in OXFORD_LABELS] * 3
    encode_ms, search_ms = [], []
    with httpx.Client(base_url=address) as http:
        for query in queries[:10]:
            _timed_search(http, query)
        for query in queries:
            started = time.perf_counter()
            clip.encode_tokens(clip.tokenise(apply_templates(query, clip.info.prompt_templates)))
            encode_ms.append((time.perf_counter() - started) * 1e3)
            search_ms.append(_timed_search(http, query))
    return encode_ms, search_ms


def _timed_search(http: httpx.Client, query: str) -> float:
    started = time.perf_counter()
    http.get("/v1/search", params={"q": query, "limit": 5}).raise_for_status()
    return (time.perf_counter() - started) * 1e3


def _to_text(report: Report) -> str:
    lines = [f"precision {report.precision}"]
    for pair in report.pairs:
        lines.append(
            f"{pair.photos} photos: bare loop {pair.bare_per_s:.1f}/s, ingest "
            f"{pair.ingest_per_s:.1f}/s, ratio {pair.ratio:.2f}; meanwhile the longest gap between "
            f"/livez answers was {pair.longest_livez_gap_ms:.0f} ms and "
            f"{pair.searches_while_ingesting} searches had p95 "
            f"{pair.search_p95_while_ingesting_ms:.0f} ms"
        )
    lines.append(f"median ratio {report.median_ratio:.2f} (bar: 0.80)")
    lines.append(
        f"warm text search over HTTP: p50 {report.search_p50_ms:.1f} ms, p95 "
        f"{report.search_p95_ms:.1f} ms; encoding alone p50 {report.text_encode_p50_ms:.1f} ms "
        f"(bar: encoding + 10 ms)"
    )
    return "\n".join(lines)


if __name__ == "__main__":
    typer.run(main)
