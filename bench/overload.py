"""Overload: ten times what a server can do, of searches, searches by photo and uploads.

`make bench-overload` measures for each kind what callers get who wait for one answer after another
(the best of several numbers of callers), and then sends ten times as many requests per second for
a minute, whatever becomes of them. It counts what is done meanwhile, how the rest is refused, how
soon a lone request is answered as before, and the memory before and after. The servers have half of
the cores and the callers have the others, as they would on another machine.
"""

import asyncio
import json
import os
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

from bench.crowd import Kind, Order, Requests, Tally, send_crowd
from bench.http_line import Line, connect
from bench.shapes import Served, ShapeName, served
from bench.shared_data import MODEL, PHOTOS, check_is_there

_CORES = sorted(os.sched_getaffinity(0))
_LEAST_GOODPUT = 0.8
_MOST_RECOVERY_S = 5.0
_MOST_MEMORY = 1.1
_CALLERS = (2, 4, 8, 16)
_LONE = 15
"""Requests of a lone caller whose median is the uncontended one."""
_SETTLED_S = 60.0
"""Within which memory must be back."""
_LOOK_S = 2.0
_UPLOADED_S = 600.0
"""Within which what was uploaded before a measurement must be worked off."""


@dataclass(frozen=True)
class Report:
    """What was measured of one kind of request at one shape."""

    shape: ShapeName
    kind: Kind
    callers: int
    """Of those tried, the number that got most done."""
    capacity_per_s: float
    lone_ms: float
    offered_per_s: float
    """As was really sent."""
    good_per_s: float
    good_ms: tuple[float, float]
    """p50 and p99 of what was done."""
    refused_ms: tuple[float, float]
    tally: Tally
    recovery_s: float
    memory_before_mb: float
    memory_after_mb: float
    settled_s: float
    """After which memory was as low as it is given."""

    @property
    def goodput(self) -> float:
        """Of the capacity."""
        return self.good_per_s / self.capacity_per_s

    @property
    def bars(self) -> dict[str, bool]:
        """Whether each is met."""
        tally = self.tally
        return {
            "goodput": self.goodput >= _LEAST_GOODPUT,
            "refusals": not (tally.odd() or tally.without_retry_after or tally.broken),
            "recovery": self.recovery_s <= _MOST_RECOVERY_S,
            "memory": self.memory_after_mb <= _MOST_MEMORY * self.memory_before_mb,
        }


def main(
    *,
    shape: Annotated[list[ShapeName] | None, typer.Option(help="Both, if not given.")] = None,
    kind: Annotated[list[Kind] | None, typer.Option(help="All, if not given.")] = None,
    model: Annotated[str, typer.Option()] = MODEL,
    photos: Annotated[Path, typer.Option(help="Folder of JPEGs.")] = PHOTOS,
    times: Annotated[float, typer.Option(min=1, help="The capacity.")] = 10.0,
    seconds: Annotated[float, typer.Option(min=5)] = 60.0,
    as_json: Annotated[bool, typer.Option("--json")] = False,
) -> None:
    """Measure and print; exits with code 1 below a bar."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # the servers end, too
    check_is_there(model, str(photos))
    order = Order(0, "", sorted(map(str, photos.glob("*.jpg"))), seconds)
    reports = [
        report
        for one in shape or ShapeName
        for report in _measure_shape(one, model, order, kind or list(Kind), times)
    ]
    if as_json:
        sys.stdout.write(json.dumps([asdict(one) for one in reports], indent=1) + "\n")
    else:
        _print(reports, times)
    if not all(all(report.bars.values()) for report in reports):
        raise typer.Exit(1)


def _measure_shape(
    shape: ShapeName, model: str, order: Order, kinds: list[Kind], times: float
) -> list[Report]:
    # What is started has the cores of who starts it.
    os.sched_setaffinity(0, _CORES[::2])
    with (
        tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder,
        served(shape, Path(folder) / "server", model) as server,
    ):
        os.sched_setaffinity(0, _CORES[1::2] or _CORES)
        order = replace(order, port=server.port, key=server.key)
        send_crowd(replace(order, seconds=5.0, loops={Kind.UPLOAD: 1}))
        return [_told(_measure(shape, server, order, kind, times)) for kind in kinds]


def _told(report: Report) -> Report:
    summary = {**asdict(report), "tally": {"statuses": report.tally.statuses}}
    sys.stderr.write(f"{json.dumps(summary)}\n")
    return report


def _measure(shape: ShapeName, server: Served, order: Order, kind: Kind, times: float) -> Report:
    callers, capacity = _capacity(server, order, kind)
    _wait_for_jobs(server)
    lone_ms = statistics.median(asyncio.run(_ask_alone(server, order, kind, _LONE)))
    before = server.memory_mb()
    tally = send_crowd(replace(order, rates={kind: times * capacity}, seed=100))
    recovery_s = asyncio.run(_recovery_s(server, order, kind, lone_ms))
    after, settled_s = _settled(server, before)
    return Report(
        shape,
        kind,
        callers,
        capacity,
        lone_ms,
        tally.sent / tally.seconds,
        tally.good_per_s,
        _percentiles(tally.good_ms),
        _percentiles(tally.refused_ms),
        tally,
        recovery_s,
        before,
        after,
        settled_s,
    )


def _capacity(server: Served, order: Order, kind: Kind) -> tuple[int, float]:
    """The number of callers that get most done, and how much per second.

    Of as long a time as the overload: what is uploaded is worked off meanwhile, on the same cores.
    """

    def done_per_s(callers: int, seconds: float) -> float:
        _wait_for_jobs(server)
        asked = replace(order, seconds=seconds, loops={kind: callers}, seed=callers)
        return send_crowd(asked).good_per_s

    best = max(_CALLERS, key=lambda callers: done_per_s(callers, order.seconds / 8))
    return best, done_per_s(best, order.seconds)


def _settled(server: Served, before: float) -> tuple[float, float]:
    """The memory once it is back, or the lowest of a while; and after how long."""
    began, found = time.perf_counter(), list[tuple[float, float]]()
    while not found or (
        min(found)[0] > _MOST_MEMORY * before and time.perf_counter() - began < _SETTLED_S
    ):
        time.sleep(_LOOK_S)
        found.append((server.memory_mb(), time.perf_counter() - began))
    return min(found)


async def _ask_alone(server: Served, order: Order, kind: Kind, count: int) -> list[float]:
    """Milliseconds of requests one after the other that are done."""
    line, requests = await connect(server.port), _requests(order)
    try:
        answers = [await _answer(line, requests.next(kind)) for _ in range(count)]
    finally:
        line.close()
    if refused := [status for _, status in answers if status >= 300]:
        raise RuntimeError(f"a lone request got {refused[0]}")
    return [milliseconds for milliseconds, _ in answers]


async def _recovery_s(server: Served, order: Order, kind: Kind, lone_ms: float) -> float:
    """Seconds until a lone request is done within twice the uncontended median."""
    began, requests = time.perf_counter(), _requests(order)
    while time.perf_counter() - began < _SETTLED_S:
        line = await connect(server.port)
        milliseconds, status = await _answer(line, requests.next(kind))
        line.close()
        if status < 300 and milliseconds <= 2 * lone_ms:
            break
        await asyncio.sleep(0.05)
    return time.perf_counter() - began


async def _answer(line: Line, data: bytes) -> tuple[float, int]:
    began, expected = time.perf_counter(), line.expect_reply()
    line.write(data)
    status = (await expected).status
    return (time.perf_counter() - began) * 1e3, status


def _requests(order: Order) -> Requests:
    return Requests(order.key, [Path(file).read_bytes() for file in order.photos], time.time_ns())


def _wait_for_jobs(server: Served) -> None:
    """Until what was uploaded is worked off.

    It takes the same cores, and where too many jobs wait no other is opened.
    """
    ends_at = time.perf_counter() + _UPLOADED_S
    while left := server.unfinished_jobs():
        if time.perf_counter() > ends_at:
            raise RuntimeError(f"{left} jobs were not worked off within {_UPLOADED_S:g} s")
        time.sleep(_LOOK_S)


def _percentiles(milliseconds: list[float]) -> tuple[float, float]:
    ordered = sorted(milliseconds) or [0.0]
    return ordered[len(ordered) // 2], ordered[int(len(ordered) * 0.99)]


def _print(reports: list[Report], times: float) -> None:
    table = Table(
        "shape", "kind", "capacity/s (callers)", "lone ms", "sent/s", "done/s", "goodput",
        "done p50/p99 ms", "refused p50/p99 ms", "recovery s", "MB before/after (s)", "missed",
        title=f"{times:g} x capacity",
    )  # fmt: skip
    for one in reports:
        table.add_row(
            one.shape,
            one.kind,
            f"{one.capacity_per_s:.1f} ({one.callers})",
            f"{one.lone_ms:.0f}",
            f"{one.offered_per_s:.0f}",
            f"{one.good_per_s:.1f}",
            f"{one.goodput:.2f}",
            "/".join(f"{value:.0f}" for value in one.good_ms),
            "/".join(f"{value:.0f}" for value in one.refused_ms),
            f"{one.recovery_s:.1f}",
            f"{one.memory_before_mb:.0f}/{one.memory_after_mb:.0f} ({one.settled_s:.0f})",
            ", ".join(name for name, is_met in one.bars.items() if not is_met) or "PASS",
        )
    console = Console(width=150)
    console.print(table)
    for one in reports:
        tally = one.tally
        console.print(
            f"{one.shape}, {one.kind}: {tally.statuses}, broken {tally.broken}, unsent "
            f"{tally.unsent}, refusals without Retry-After {tally.without_retry_after}"
        )
    console.print(
        f"bars: goodput {_LEAST_GOODPUT:g}, recovery {_MOST_RECOVERY_S:g} s, memory "
        f"{_MOST_MEMORY:g} x before, every refusal 429 or 503 with Retry-After"
    )


if __name__ == "__main__":
    typer.run(main)
