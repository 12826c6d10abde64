"""Throughput of ingest relative to bare loops over the same photos: `make bench-ingest`.

Each pair runs the loops (bench/photo_loop.py) and ingests (bench/ingest_run.py) one after the
other, each in its own process, so that other load affects all. Ratios are medians.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import Annotated

import typer

from bench.random_model import random_vit
from bench.shared_data import DATASET
from petsearch.client import Photo, from_dataset, from_paths
from petsearch.photos import ImageLimits
from petsearch.sample.catalogue import DEMO_SEED, catalogue
from petsearch.sources import DatasetOptions

_PACES = (30.0, 60.0)
_MAX_BYTES = ImageLimits().max_bytes
_WITH_MODEL = ("--limit", "208")
"""The model is slow beside the rest: fewer photos tell its rate as well."""
_PACED = ("--limit", "520")
"""At a pace, or over a slow store, more would only take longer."""
_FASTER = {"bf16": 2.5, "fp16": 2.5, "fp32": 1.3}
"""How much faster than the ancestor's way ingest must be, by the model's precision."""


@dataclass(frozen=True)
class Pair:
    """Photos per second."""

    codec_loop: float
    instant: float
    paced: dict[float, float]
    """By pace."""
    ancestor: float
    with_model: float
    s3: float


@dataclass(frozen=True)
class Report:
    """All pairs, and the medians of their ratios."""

    photos: str
    count: int
    precision: str
    pairs: list[Pair]
    paced_ratios: dict[float, float]
    """Of the pace, or of the codec loop where that is slower."""
    codec_ratio: float
    ancestor_ratio: float


def main(
    *,
    photos: Annotated[str, typer.Option(help="A folder; empty: pets, or drawings.")] = "",
    count: Annotated[int, typer.Option(min=128)] = 1800,
    pairs: Annotated[int, typer.Option(min=1)] = 3,
    model: Annotated[str, typer.Option(help="Empty: ViT-B/32 at random weights.")] = "",
    as_json: Annotated[bool, typer.Option("--json")] = False,
) -> None:
    """Run the pairs and print the report."""
    with ExitStack() as stack:
        temporary = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        folder = temporary / "photos"
        name, written = _write_photos(folder, photos, count)
        spec = model or random_vit(temporary)
        bucket = stack.enter_context(_s3_server())
        measured = [_pair(folder, spec, bucket, number) for number in range(pairs)]
    report = _report(name, written, measured)
    sys.stdout.write(json.dumps(asdict(report), indent=2) if as_json else _to_text(report))
    sys.stdout.write("\n")


# --- what is run ----------------------------------------------------------------------------


def _pair(folder: Path, spec: str, bucket: str, number: int) -> tuple[Pair, str]:
    """Rates, and the precision of the model."""
    photos = ["--photos", str(folder)]
    with_model = json.loads(_run("bench.ingest_run", *photos, *_WITH_MODEL, "--model", spec))
    ancestor = ("--as", "ancestor", *_WITH_MODEL, "--model", spec)
    pair = Pair(
        ancestor=float(_run("bench.photo_loop", *photos, *ancestor)),
        with_model=with_model["photos_per_s"],
        codec_loop=float(_run("bench.photo_loop", *photos, "--as", "codec")),
        instant=_ingest(*photos),
        paced={pace: _ingest(*photos, *_PACED, "--pace", str(pace)) for pace in _PACES},
        s3=_ingest(*photos, *_PACED, "--s3", f"{bucket}/bench-{number}"),
    )
    return pair, with_model["precision"]


def _ingest(*arguments: str) -> float:
    return float(json.loads(_run("bench.ingest_run", *arguments))["photos_per_s"])


def _run(module: str, *arguments: str) -> str:
    """Run a process; returns its last line on stdout and passes stderr through."""
    command = [sys.executable, "-m", module, *arguments]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return done.stdout.splitlines()[-1]


@contextmanager
def _s3_server() -> Iterator[str]:
    """An S3 server in its own process; returns the address that bucket names are appended to."""
    program = (
        "import sys, time; from moto.server import ThreadedMotoServer as S;"
        "s = S(ip_address='127.0.0.1', port=0, verbose=False); s.start();"
        "print(s.get_host_and_port()[1], flush=True); sys.stdin.read()"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", program],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env={**os.environ, "PYTHONWARNINGS": "ignore"},
    )
    assert process.stdout is not None
    try:
        yield f"s3+http://127.0.0.1:{int(process.stdout.readline())}"
    finally:
        process.terminate()
        process.wait()


# --- what is ingested -----------------------------------------------------------------------


def _write_photos(folder: Path, wanted: str, count: int) -> tuple[str, int]:
    """Write distinct photos into `folder`; returns their description and number."""
    folder.mkdir()
    name, photos = _photos(wanted, count)
    different = dict.fromkeys(photo.data for photo in islice(photos, count) if photo.data)
    for number, data in enumerate(different):
        (folder / f"{number:06d}").write_bytes(data)
    return name, len(different)


def _photos(wanted: str, count: int) -> tuple[str, Iterator[Photo]]:
    if wanted:
        return wanted, iter(from_paths([Path(wanted)], max_bytes=_MAX_BYTES).photos)
    if Path(DATASET).is_dir():
        options = DatasetOptions("test", label_column=None, limit=count)
        return "Oxford-IIIT Pets, test split", iter(from_dataset(DATASET, options).photos)
    drawings = catalogue(count, DEMO_SEED)
    return "drawings of 512 x 512", (Photo(d.filename, d.to_jpeg()) for d in drawings)


# --- the report -----------------------------------------------------------------------------


def _report(name: str, count: int, measured: list[tuple[Pair, str]]) -> Report:
    pairs = [pair for pair, _ in measured]

    def median(ratio: Callable[[Pair], float]) -> float:
        return statistics.median(ratio(pair) for pair in pairs)

    def paced(pace: float) -> float:
        return median(lambda pair: pair.paced[pace] / min(pace, pair.codec_loop))

    return Report(
        photos=name,
        count=count,
        precision=measured[0][1],
        pairs=pairs,
        paced_ratios={pace: paced(pace) for pace in _PACES},
        codec_ratio=median(lambda pair: pair.instant / pair.codec_loop),
        ancestor_ratio=median(lambda pair: pair.with_model / pair.ancestor),
    )


def _to_text(report: Report) -> str:
    lines = [f"{report.count} photos ({report.photos}); photos per second:"]
    for pair in report.pairs:
        paced = ", ".join(f"{rate:.1f} of {pace:g}" for pace, rate in pair.paced.items())
        lines.append(
            f"  codec loop {pair.codec_loop:.0f}, ingest {pair.instant:.0f}, paced {paced}, S3 "
            f"{pair.s3:.0f} | ViT-B/32: ancestor {pair.ancestor:.1f}, ingest {pair.with_model:.1f}"
        )
    lines += [
        f"(a) embedder paced to {pace:g}/s: {ratio:.3f} of it, or of the codec loop (bar: 0.95)"
        for pace, ratio in report.paced_ratios.items()
    ]
    bar = _FASTER[report.precision]
    lines += [
        f"(b) instant embedder: {report.codec_ratio:.2f} x the codec loop (bar: 0.75)",
        f"(c) {report.precision}: {report.ancestor_ratio:.2f} x the ancestor's way (bar: {bar})",
        "(d) S3: an in-memory server in Python over HTTP; no bar",
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    typer.run(main)
