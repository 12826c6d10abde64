"""Health under load: `/readyz` of a server with 200 busy connections beside an idle one.

`make bench-readiness` starts two servers of a shape with everything they need. 100 callers upload
photos slowly to the first, and 100 search it by photo. Both are probed at the same moments, so that
what else the machine does is in both figures. Then Redis is stopped under the load, several times.
"""

import asyncio
import json
import signal
import statistics
import sys
import tempfile
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from bench.crowd import Kind, Order, Tally, crowd_of, end_crowd, send_crowd
from bench.probes import MOST_OVER_MS, Figures, Pair, figures_of, probe, probe_pairs
from bench.shapes import Served, ShapeName, served
from bench.shared_data import MODEL, PHOTOS, check_is_there

_MOST_UNTIL_503_S = 3.0
_EVERY_S = 0.1
_SETTLE_S = 5.0
_STOPS = 3
_LONGEST_S = 3600.0
"""The crowd is ended sooner."""
_STOP_S = 12.0
"""For each: until it is seen, and until all is well again."""


@dataclass(frozen=True)
class Report:
    """What was measured of one shape."""

    shape: ShapeName
    with_key: Figures
    without_key: Figures
    liveness: Figures
    until_503_s: list[float]
    """From each stop of Redis."""
    crowd: Tally

    @property
    def is_met(self) -> bool:
        """Whether all bars are."""
        most = MOST_OVER_MS[self.shape]
        over = max(one.over_ms for one in (self.with_key, self.without_key))
        return over <= most and max(self.until_503_s) <= _MOST_UNTIL_503_S


def main(
    *,
    shape: Annotated[list[ShapeName] | None, typer.Option(help="Both, if not given.")] = None,
    model: Annotated[str, typer.Option()] = MODEL,
    photos: Annotated[Path, typer.Option(help="Folder of JPEGs.")] = PHOTOS,
    seconds: Annotated[float, typer.Option(min=5)] = 60.0,
    uploads: Annotated[int, typer.Option(min=0, help="Slow ones at a time.")] = 100,
    searches: Annotated[int, typer.Option(min=0, help="By photo, at a time.")] = 100,
    pause_s: Annotated[
        float, typer.Option(min=0, help="After which a refused caller asks again.")
    ] = 1.0,
    as_json: Annotated[bool, typer.Option("--json")] = False,
) -> None:
    """Measure and print; exits with code 1 above a bar."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # the servers end, too
    check_is_there(model, str(photos))
    files = sorted(map(str, photos.glob("*.jpg")))
    order = Order(0, "", files, seconds, {Kind.PHOTO: searches}, {}, uploads, pause_s=pause_s)
    reports = [_measure(one, model, order) for one in shape or ShapeName]
    if as_json:
        sys.stdout.write(json.dumps([asdict(one) for one in reports], indent=1) + "\n")
    else:
        _print(reports)
    if not all(report.is_met for report in reports):
        raise typer.Exit(1)


def _measure(shape: ShapeName, model: str, order: Order) -> Report:
    with (
        tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder,
        served(shape, Path(folder) / "loaded", model) as loaded,
        served(shape, Path(folder) / "control", model) as control,
    ):
        _seed(loaded, order.photos)
        whole = replace(order, port=loaded.port, key=loaded.key, seconds=_LONGEST_S)
        with crowd_of(whole) as crowd:
            time.sleep(_SETTLE_S)
            pairs = _probed(loaded, control, "/readyz", order.seconds)
            _tell(f"{shape}: /readyz {figures_of(pairs)}")
            liveness = _probed(loaded, control, "/livez", order.seconds / 2)
            _tell(f"{shape}: /livez {figures_of(liveness)}")
            stops = [_stop_redis(loaded) for _ in range(_STOPS)]
            _tell(f"{shape}: 503 after {stops}")
            return Report(
                shape,
                figures_of([pair for pair in pairs if pair.with_key]),
                figures_of([pair for pair in pairs if not pair.with_key]),
                figures_of(liveness),
                stops,
                end_crowd(crowd),
            )


def _tell(progress: str) -> None:
    sys.stderr.write(f"{progress}\n")


def _probed(loaded: Served, control: Served, path: str, seconds: float) -> list[Pair]:
    return asyncio.run(probe_pairs(loaded, control, path, seconds, _EVERY_S))


def _seed(server: Served, photos: list[str]) -> None:
    """So that searches find something."""
    send_crowd(Order(server.port, server.key, photos, 5.0, loops={Kind.UPLOAD: 1}))


def _stop_redis(server: Served) -> float:
    """Seconds until the first 503; then Redis goes on, and all is well again at the end."""
    began = time.perf_counter()
    server.stop_redis()
    try:
        until_s = _until(server, 503) - began
    finally:
        server.continue_redis()
    _until(server, 200)
    return until_s


def _until(server: Served, status: int) -> float:
    began = time.perf_counter()
    while time.perf_counter() - began < _STOP_S:
        _, found = asyncio.run(probe(server, "/readyz", with_key=False))
        if found == status:
            return time.perf_counter()
        time.sleep(0.05)
    raise RuntimeError(f"/readyz was not {status} within {_STOP_S:g} s")


def _print(reports: list[Report]) -> None:
    table = Table(
        "shape", "probe", "loaded: p50 / p99 / most ms", "idle: p50 / p99 / most ms",
        "p99 over idle (95 %)", "bar", "",
        title="Probes of a loaded server beside an idle one",
    )  # fmt: skip
    for report in reports:
        _add_rows(table, report)
    console = Console(width=130)
    console.print(table)
    for report in reports:
        stops = report.until_503_s
        console.print(
            f"{report.shape}: 503 after Redis stopped: median {statistics.median(stops):.1f} s, "
            f"longest of {len(stops)} {max(stops):.1f} s, bar {_MOST_UNTIL_503_S:g} s: "
            f"{_verdict(is_met=max(stops) <= _MOST_UNTIL_503_S)}\n"
            f"{report.shape}: callers got {report.crowd.statuses}, broken {report.crowd.broken}, "
            f"refusals without Retry-After {report.crowd.without_retry_after}"
        )


def _add_rows(table: Table, report: Report) -> None:
    most = MOST_OVER_MS[report.shape]
    rows = {
        "/readyz with a key": report.with_key,
        "/readyz without": report.without_key,
        "/livez": report.liveness,
    }
    for name, one in rows.items():
        has_bar = name != "/livez"
        low, high = one.over_interval_ms
        table.add_row(
            report.shape,
            f"{name} ({one.count}; {one.not_200} not 200)",
            " / ".join(f"{value:.0f}" for value in one.loaded_ms),
            " / ".join(f"{value:.0f}" for value in one.control_ms),
            f"{one.over_ms:.0f} ({low:.0f} to {high:.0f})",
            f"{most:.0f}" if has_bar else "",
            _verdict(is_met=one.over_ms <= most) if has_bar else "",
        )


def _verdict(*, is_met: bool) -> str:
    return "PASS" if is_met else "FAIL"


if __name__ == "__main__":
    typer.run(main)
