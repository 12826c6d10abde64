"""Tries the API against its own OpenAPI document with schemathesis: `python -m tests.fuzz`.

A standalone server with the sample model and some drawings is asked; every check is on.
"""

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import httpx

from petsearch.client import Client, Photo, PhotoSource, upload
from petsearch.sample.catalogue import catalogue
from tests.server import ServerProcess

_CONFIG = Path(__file__).with_name("schemathesis.toml")
_HOOKS = Path(__file__).with_name("fuzz_hooks.py")
_DRAWINGS = 12
_WORKERS = 2
"""One draws and judges while the server works on a case of the other."""


@dataclass(frozen=True)
class Findings:
    """What a run tried and found."""

    by_status: Counter[int]
    """How many answers had which status; 0 is no answer."""
    report: str
    is_clean: bool


def fuzz(address: str, folder: Path, *options: str) -> Findings:
    """Run schemathesis against the server at `address`; `folder` holds its report."""
    report = folder / "events.ndjson"
    command = [str(Path(sys.executable).with_name("schemathesis")), "--config-file", str(_CONFIG)]
    where = ("run", f"{address}/openapi.json", "--no-color")
    kept = ("--report", "ndjson", "--report-ndjson-path", str(report))
    done = subprocess.run(
        [*command, *where, *kept, *options],
        env={**os.environ, "SCHEMATHESIS_HOOKS": str(_HOOKS)},
        capture_output=True,
        text=True,
        cwd=folder,
    )
    assert report.exists(), f"schemathesis did not run: {done.stdout}{done.stderr}"
    by_status = Counter(_statuses(report))
    return Findings(by_status, done.stdout + done.stderr, is_clean=done.returncode == 0)


def start_server(folder: Path) -> ServerProcess:
    """A server with drawings, that asks nobody on the network."""
    # Keys that it makes must not lock it out.
    quiet = {"HF_HUB_OFFLINE": "1", "PETSEARCH_LOG_LEVEL": "CRITICAL"}
    server = ServerProcess(folder, env={**quiet, "PETSEARCH_ALLOW_NO_KEYS": "1"})
    assert server.address, server.log
    drawings = catalogue(_DRAWINGS, seed=7)
    photos = (Photo(d.filename, d.to_jpeg(), {"breed": d.kind}) for d in drawings)
    with Client(server.address) as client:
        upload(client, PhotoSource(photos, _DRAWINGS), name="drawings")
    return server


def main(arguments: Sequence[str] | None = None) -> int:
    """Run until so many cases were tried; 0 if nothing was found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=random.randrange(2**31))
    given = parser.parse_args(arguments)
    tried: Counter[int] = Counter()
    is_clean = True
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stopping:
        server = start_server(Path(folder) / "data")
        stopping.callback(server.stop)
        operations = count_operations(server.address)
        for number in count():
            per_operation = max(10, (given.cases - tried.total()) // operations)
            # The cases of the first two phases are the same in every run.
            phases = "fuzzing,stateful" if number else "examples,coverage,fuzzing,stateful"
            found = fuzz(
                server.address,
                Path(folder),
                *("--phases", phases, "--seed", str(given.seed + number)),
                *("--max-examples", str(per_operation), "--workers", str(_WORKERS)),
            )
            tried += found.by_status
            is_clean = found.is_clean
            if not is_clean or tried.total() >= given.cases:
                break
    if not is_clean:
        sys.stdout.write(found.report)
    answers = ", ".join(f"{status}: {count}" for status, count in sorted(tried.items()))
    verdict = "nothing found" if is_clean else "see above"
    sys.stdout.write(f"{tried.total()} cases, seed {given.seed}, {verdict}; answers: {answers}\n")
    return 0 if is_clean else 1


def count_operations(address: str) -> int:
    """How many operations the server's document has."""
    paths = httpx.get(f"{address}/openapi.json").json()["paths"]
    return sum(len(methods) for methods in paths.values())


def _statuses(report: Path) -> Iterator[int]:
    with report.open() as lines:
        for event in map(json.loads, lines):
            recorded = event.get("ScenarioFinished", {}).get("recorder", {})
            for exchange in recorded.get("interactions", {}).values():
                yield exchange["response"]["status_code"] if exchange["response"] else 0


if __name__ == "__main__":
    sys.exit(main())
