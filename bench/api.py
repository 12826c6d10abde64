"""Load test of the search API: requests per second, latencies, and CPU time beyond the index's.

`make bench-api` starts the API as a process over Qdrant Edge with an embedder that needs no model,
and sends three kinds of queries: texts with cached embeddings, the same with filters that all
differ, and images similar to an indexed one. No response is cached. Rounds of requests alternate
with rounds of the same queries to `Index.search` in the server's process; the difference is the
API's own cost.
"""

import json
import pstats
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from rich.console import Console
from rich.table import Table

from bench.api_load import ask_all
from bench.api_workloads import WORKLOADS, Workload, text_of
from bench.galleries import around_centres, build_edge_index
from bench.stand_in_embedder import MODEL_ID

_MOST_CPU_MS = 2.5
_AIM_CPU_MS = 1.5
_BATCH = 100
"""Requests of one round; a bare round of as many goes before it."""
_PROFILED = 25


@dataclass(frozen=True)
class Round:
    """Milliseconds per request, or per bare call, of one round."""

    api_cpu_ms: float
    bare_cpu_ms: float
    bare_wall_ms: float


@dataclass(frozen=True)
class Figures:
    """The figures of one kind of query. CPU time is that of the server process, all threads."""

    workload: str
    requests: int
    bare_cpu_ms: float
    bare_wall_ms: float
    api_cpu_ms: float
    cpu_over_bare_ms: float
    """Median over the rounds, each beside its own bare round."""
    cpu_over_bare_quartiles_ms: tuple[float, float]
    one_at_a_time_ms: tuple[float, float, float]
    """p50, p95, p99 over one connection."""
    many_at_a_time_ms: tuple[float, float, float]
    requests_per_s: float
    """Over `connections` connections; the client runs on the same cores."""


@dataclass(frozen=True)
class Report:
    """All figures, with the conditions they were measured under."""

    points: int
    dim: int
    optimised: bool
    connections: int
    embedder_calls_while_measured: int
    figures: list[Figures]


class Server:
    """The API as a process; see bench/api_server.py."""

    def __init__(self, folder: Path, points: int, *, profile: bool, log: Path) -> None:
        command = [sys.executable, "-m", "bench.api_server", str(folder), str(points)]
        with log.open("wb") as output:
            self._process = subprocess.Popen(
                [*command, *(["--profile"] if profile else [])],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=output,
                text=True,
            )
        self.port = int(self._answer()["port"])

    def order(self, *words: object) -> dict[str, Any]:
        """Send a command and wait for its reply."""
        assert self._process.stdin is not None
        self._process.stdin.write("\t".join(map(str, words)) + "\n")
        self._process.stdin.flush()
        return self._answer()

    def stop(self) -> None:
        """Stop the process."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(60)

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError("the server ended; its log is in the data folder")
        answer: dict[str, Any] = json.loads(line)
        return answer


def main(
    *,
    points: Annotated[int, typer.Option(min=100)] = 100_000,
    requests: Annotated[int, typer.Option(min=_BATCH, help="Of each kind.")] = 1000,
    connections: Annotated[int, typer.Option(min=1)] = 4,
    optimise: Annotated[
        bool, typer.Option("--optimise", help="Build HNSW first; exact search otherwise.")
    ] = False,
    data_dir: Annotated[
        Path | None, typer.Option(help="Keep the index here and use it again.")
    ] = None,
    profile: Annotated[
        Path | None, typer.Option(help="Write a cProfile here; it slows everything down.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json")] = False,
) -> None:
    """Measure and print; exits with code 1 above the bar."""
    with (
        _folder(data_dir) as folder,
        _server(folder, points, optimise=optimise, profile=profile) as server,
    ):
        _warm_up(server, points)
        calls = server.order("cpu")["embedder_calls"]
        server.order("forget")
        figures = [_measure(server, name, points, requests, connections) for name in WORKLOADS]
        calls = server.order("cpu")["embedder_calls"] - calls
        if profile is not None:
            server.order("profile", profile.resolve())
            _print_profile(profile, 2 * requests * len(WORKLOADS))
    report = Report(points, 512, optimise, connections, calls, figures)
    if as_json:
        sys.stdout.write(json.dumps(asdict(report), indent=1) + "\n")
    else:
        _print(report)
    if profile is None and max(one.cpu_over_bare_ms for one in figures) > _MOST_CPU_MS:
        raise typer.Exit(1)


@contextmanager
def _folder(data_dir: Path | None) -> Iterator[Path]:
    if data_dir is not None:
        data_dir.mkdir(parents=True, exist_ok=True)
        yield data_dir
        return
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder)


@contextmanager
def _server(folder: Path, points: int, *, optimise: bool, profile: Path | None) -> Iterator[Server]:
    """A server over an index in `folder` with that many points, created if it does not exist."""
    home = folder / f"{points}{'-optimised' if optimise else ''}"
    ready = home / "ready"
    if not ready.exists():
        shutil.rmtree(home, ignore_errors=True)
        collection = build_edge_index(home / "index", around_centres(points), MODEL_ID)
        if optimise:
            shard = home / "index" / "collections" / collection
            subprocess.run([sys.executable, "-m", "bench.optimise", str(shard)], check=True)
        ready.touch()
    server = Server(home, points, profile=profile is not None, log=home / "log")
    try:
        yield server
    finally:
        server.stop()


def _warm_up(server: Server, points: int) -> None:
    """Send every text once, so that embeddings are cached and threads have started."""
    texts = {text_of(number): number for number in range(500)}
    ask_all(server.port, [WORKLOADS["text"](n, points).path for n in texts.values()], connections=8)
    for name in WORKLOADS:
        server.order("bare", name, 0, 500)


def _measure(
    server: Server, name: Workload, points: int, requests: int, connections: int
) -> Figures:
    paths = [WORKLOADS[name](number, points).path for number in range(2 * requests)]
    rounds: list[Round] = []
    alone: list[float] = []
    for start in range(0, requests, _BATCH):
        bare = server.order("bare", name, start, _BATCH)
        before = server.order("cpu")["cpu_s"]
        alone += ask_all(server.port, paths[start : start + _BATCH], connections=1).latencies_ms
        api_s = server.order("cpu")["cpu_s"] - before
        rounds.append(
            Round(*(seconds / _BATCH * 1e3 for seconds in (api_s, bare["cpu_s"], bare["wall_s"])))
        )
    many = ask_all(server.port, paths[requests:], connections=connections)
    over = [one.api_cpu_ms - one.bare_cpu_ms for one in rounds]
    low, middle, high = (float(value) for value in np.quantile(over, (0.25, 0.5, 0.75)))
    return Figures(
        workload=name,
        requests=requests,
        bare_cpu_ms=statistics.median(one.bare_cpu_ms for one in rounds),
        bare_wall_ms=statistics.median(one.bare_wall_ms for one in rounds),
        api_cpu_ms=statistics.median(one.api_cpu_ms for one in rounds),
        cpu_over_bare_ms=middle,
        cpu_over_bare_quartiles_ms=(low, high),
        one_at_a_time_ms=_percentiles(alone),
        many_at_a_time_ms=_percentiles(many.latencies_ms),
        requests_per_s=len(many.latencies_ms) / many.wall_s,
    )


def _print_profile(file: Path, requests: int) -> None:
    """Print the functions with the largest own time, without waiting threads."""
    stats: dict[tuple[str, int, str], tuple[int, int, float, float, object]]
    stats = vars(pstats.Stats(str(file)))["stats"]
    waiting = {"<method 'acquire' of '_thread.lock' objects>", "run"}
    rows = [(key, of) for key, of in stats.items() if key[2] not in waiting]
    table = Table("function", "calls", "own us", "with what it calls, us", title="Of a request")
    for (path, line, name), (_, calls, own_s, whole_s, _) in sorted(rows, key=lambda r: -r[1][2])[
        :_PROFILED
    ]:
        where = f"{'/'.join(Path(path).parts[-2:])}:{line} " if line else ""
        times = (f"{seconds / requests * 1e6:.0f}" for seconds in (own_s, whole_s))
        table.add_row(f"{where}{name}", f"{calls / requests:.1f}", *times)
    Console(width=120).print(table)


def _percentiles(latencies_ms: list[float]) -> tuple[float, float, float]:
    p50, p95, p99 = (float(value) for value in np.quantile(latencies_ms, (0.5, 0.95, 0.99)))
    return p50, p95, p99


def _print(report: Report) -> None:
    how = "HNSW" if report.optimised else "exact search"
    table = Table(
        "question", "bare call: CPU ms", "API: CPU ms", "over bare (quartiles)", "p50/p95/p99 ms",
        f"over {report.connections} connections", "requests/s",
        title=f"{report.points} points of {report.dim}-d, {how}, Qdrant Edge",
    )  # fmt: skip
    for one in report.figures:
        low, high = one.cpu_over_bare_quartiles_ms
        table.add_row(
            one.workload,
            f"{one.bare_cpu_ms:.2f}",
            f"{one.api_cpu_ms:.2f}",
            f"{one.cpu_over_bare_ms:.2f} ({low:.2f}-{high:.2f})",
            " / ".join(f"{value:.1f}" for value in one.one_at_a_time_ms),
            " / ".join(f"{value:.1f}" for value in one.many_at_a_time_ms),
            f"{one.requests_per_s:.0f}",
        )
    console = Console(width=130)
    console.print(table)
    console.print(
        f"bar: {_MOST_CPU_MS} ms of CPU over the bare call, aim {_AIM_CPU_MS}; calls of the "
        f"embedder while measured: {report.embedder_calls_while_measured}"
    )


if __name__ == "__main__":
    typer.run(main)
