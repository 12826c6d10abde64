"""Throughput of ingest relative to bare loops, and latency of search meanwhile: `make bench`.

`make bench` prints ratios of paired runs: each pair consists of two bare loops (bench/bare_loop.py)
and an ingest of the same photos (client, HTTP, queue, worker, store, index), one after the other,
so that other load affects all. During one more ingest, health and search are requested
continuously.
"""

import json
import os
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Annotated

import httpx
import numpy as np
import typer

from bench.shared_data import DATASET, MODEL, check_is_there
from bench.standalone_server import standalone_server
from petsearch.client import Client, Photo, PhotoSource, from_dataset, upload
from petsearch.domain.prompts import OXFORD_LABELS, apply_templates
from petsearch.observability import configure_logging
from petsearch.process_tuning import tune_process
from petsearch.sources import DatasetOptions

if TYPE_CHECKING:
    from petsearch.adapters.clip.model import OpenClipModel


@dataclass(frozen=True)
class Pair:
    """Photos per second of two bare loops and of one ingest of the same photos."""

    open_clip_loop_per_s: float
    petsearch_loop_per_s: float
    ingest_per_s: float


@dataclass(frozen=True)
class Latencies:
    """Response times of the server during an ingest."""

    longest_livez_gap_ms: float
    searches: int
    search_p50_ms: float
    search_p95_ms: float


@dataclass(frozen=True)
class Report:
    """All pairs, responses during an ingest, and a warm text search with its encoding time."""

    photos: int
    precision: str
    pairs: list[Pair]
    median_ratio_to_open_clip_loop: float
    median_ratio_to_petsearch_loop: float
    meanwhile: Latencies
    text_encode_p50_ms: float
    search_p50_ms: float
    search_p95_ms: float


def main(
    *,
    model: Annotated[str, typer.Option()] = MODEL,
    dataset: Annotated[str, typer.Option()] = DATASET,
    split: Annotated[str, typer.Option()] = "test",
    pairs: Annotated[int, typer.Option(min=1)] = 3,
    limit: Annotated[int | None, typer.Option(min=1)] = None,
    as_json: Annotated[bool, typer.Option("--json")] = False,
) -> None:
    """Run the pairs and print the report."""
    check_is_there(model, dataset)
    tune_process()
    configure_logging(level="ERROR")
    clip = _load(model)
    options = DatasetOptions(split, label_column=None, limit=limit)
    photos = list(from_dataset(dataset, options).photos)
    loop = ["--model", model, "--dataset", dataset, "--split", split]
    loop += ["--limit", str(limit)] if limit else []
    measured = [_pair(model, photos, loop) for _ in range(pairs)]
    meanwhile = _ingest_under_watch(model, photos)
    with standalone_server(model) as address:
        encode_ms, search_ms = _text_search(clip, address)
    report = Report(
        photos=len(photos),
        precision=clip.info.precision,
        pairs=measured,
        median_ratio_to_open_clip_loop=statistics.median(
            pair.ingest_per_s / pair.open_clip_loop_per_s for pair in measured
        ),
        median_ratio_to_petsearch_loop=statistics.median(
            pair.ingest_per_s / pair.petsearch_loop_per_s for pair in measured
        ),
        meanwhile=meanwhile,
        text_encode_p50_ms=statistics.median(encode_ms),
        search_p50_ms=statistics.median(search_ms),
        search_p95_ms=float(np.percentile(search_ms, 95)),
    )
    sys.stdout.write(json.dumps(asdict(report), indent=2) if as_json else _to_text(report))
    sys.stdout.write("\n")


def _load(model: str) -> "OpenClipModel":
    # Imported here: OpenMP must be told how to wait before torch is there.
    from petsearch.adapters.clip.model import load_model

    return load_model(model)


def _pair(model: str, photos: list[Photo], loop: list[str]) -> Pair:
    return Pair(
        open_clip_loop_per_s=_bare_loop(loop, "open_clip"),
        petsearch_loop_per_s=_bare_loop(loop, "petsearch"),
        ingest_per_s=_ingest(model, photos),
    )


def _bare_loop(arguments: list[str], way: str) -> float:
    # Without what this process set for itself: PyTorch as it comes.
    tuned = {"GOMP_SPINCOUNT", "ONEDNN_PRIMITIVE_CACHE_CAPACITY"}
    untuned = {k: v for k, v in os.environ.items() if k not in tuned}
    command = [sys.executable, "-m", "bench.bare_loop", *arguments, "--as", way]
    done = subprocess.run(command, env=untuned, check=True, stdout=subprocess.PIPE, text=True)
    return float(done.stdout)


def _ingest(model: str, photos: list[Photo]) -> float:
    with standalone_server(model) as address:
        return _ingest_into(address, photos)


def _ingest_into(address: str, photos: list[Photo]) -> float:
    with Client(address) as client:
        started = time.perf_counter()
        job = upload(client, PhotoSource(iter(photos), len(photos)), name="bench")
        seconds = time.perf_counter() - started
    assert job["counts"]["ingested"] == len({photo.data for photo in photos}), job
    return len(photos) / seconds


def _ingest_under_watch(model: str, photos: list[Photo]) -> Latencies:
    with standalone_server(model) as address:
        with _watch(address) as watched:
            _ingest_into(address, photos)
        return Latencies(
            longest_livez_gap_ms=float(max(np.diff(watched.livez_at))) * 1e3,
            searches=len(watched.search_ms),
            search_p50_ms=statistics.median(watched.search_ms),
            search_p95_ms=float(np.percentile(watched.search_ms, 95)),
        )


class _Watched:
    """Times of /livez responses (seconds), and durations of searches (ms)."""

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
    """Milliseconds to encode a prompted query here, and to search for it over HTTP, alternating."""
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
    lines = [f"{report.photos} photos, precision {report.precision}; photos per second:"]
    lines += [
        f"  open_clip's loop {pair.open_clip_loop_per_s:.1f}, our loop "
        f"{pair.petsearch_loop_per_s:.1f}, ingest {pair.ingest_per_s:.1f}"
        for pair in report.pairs
    ]
    watched = report.meanwhile
    lines += [
        f"median ratio of ingest to open_clip's loop {report.median_ratio_to_open_clip_loop:.2f} "
        f"(bar: 0.80), to our loop {report.median_ratio_to_petsearch_loop:.2f}",
        f"while it ingests: longest gap between /livez answers "
        f"{watched.longest_livez_gap_ms:.0f} ms (bar: 250); {watched.searches} searches, "
        f"p50 {watched.search_p50_ms:.0f} ms, p95 {watched.search_p95_ms:.0f} ms",
        f"warm text search over HTTP: p50 {report.search_p50_ms:.1f} ms, p95 "
        f"{report.search_p95_ms:.1f} ms; encoding alone p50 {report.text_encode_p50_ms:.1f} ms "
        f"(bar: encoding + 10 ms)",
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    typer.run(main)
