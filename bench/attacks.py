"""Attacks on a server beside an idle one: how long `/livez` waits, and what memory is taken.

`make bench-attacks` sends bodies of unknown keys and bodies that stop, heads of 120 KB, photos that
lie or do not end, and archives that unpack to much: with a key and without, to servers of both
shapes. Photos and archives are decoded and read by the API, the worker, or the one process.
"""

import asyncio
import signal
import socket
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import httpx
import typer
from rich.console import Console
from rich.table import Table

from bench import attack_files
from bench.http_line import request
from bench.probes import MOST_OVER_MS, probe_pairs
from bench.process_usage import resident_bytes, watched
from bench.shapes import Served, ShapeName, served
from petsearch.jobs.enumeration import CHUNK_BYTES
from petsearch.photos.decode_memory import SPARE_BYTES
from petsearch.settings import Limits

_MOST_MEMORY = 1.2
_BUDGET_BYTES = Limits().decode_bytes + SPARE_BYTES + CHUNK_BYTES
_IN_TIME = 0.9
"""Share of runs in which `/livez` must respond in time."""
_EVERY_S = 0.02
_ATTACKERS = 4
_TIMEOUT_S = 10.0
_STALLED_BYTES = 200_000_000

Attack = Callable[[Served, str, threading.Event], None]
"""One attacker's, with a key or "", until the event."""


@dataclass
class Runs:
    """What was measured of an attack."""

    over_ms: list[float] = field(default_factory=list)
    """The longest wait for `/livez` over that of the idle server, of each run."""
    not_200: int = 0
    idle_bytes: int = 0
    peak_bytes: int = 0

    def is_met(self, shape: ShapeName) -> bool:
        """Whether all bars are."""
        in_time = sum(over <= MOST_OVER_MS[shape] for over in self.over_ms)
        has_room = self.peak_bytes <= _MOST_MEMORY * self.idle_bytes + _BUDGET_BYTES
        return in_time >= _IN_TIME * len(self.over_ms) and has_room and not self.not_200


def _post(served: Served, key: str, path: str, **body: Any) -> None:
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    url = f"http://127.0.0.1:{served.port}{path}"
    with suppress(httpx.HTTPError):
        httpx.post(url, headers=headers, timeout=_TIMEOUT_S, **body)


def _bodies(server: Served, key: str, ended: threading.Event) -> None:
    head = request("POST", "/v1/jobs/upload", key)[:-2]
    head += b"Content-Type: multipart/form-data; boundary=x\r\n"
    head += b"Content-Length: %d\r\n\r\n" % _STALLED_BYTES
    with socket.create_connection(("127.0.0.1", server.port), _TIMEOUT_S) as stalled:
        with suppress(OSError):
            stalled.sendall(head + bytes(1_000_000))
        while not ended.is_set():
            _post(server, key, "/v1/session", content=attack_files.BODY)


def _heads(server: Served, key: str, ended: threading.Event) -> None:
    while not ended.is_set():
        address = ("127.0.0.1", server.port)
        with suppress(OSError), socket.create_connection(address, _TIMEOUT_S) as line:
            head = request("GET", "/v1/stats", key)[:-2]
            line.sendall(head + f"Cookie: {attack_files.COOKIE}\r\n\r\n".encode())
            line.recv(65_536)


def _files(
    path: str, part: str, files: list[bytes], server: Served, key: str, ended: threading.Event
) -> None:
    while not ended.is_set():
        for data in files:
            if ended.is_set():
                return
            _post(server, key, path, files={part: ("hostile", data)})


def attacks() -> dict[str, Attack]:
    """By name."""
    photos, archives = attack_files.photos(), attack_files.archives()
    return {
        "bodies": _bodies,
        "heads": _heads,
        "photos, searched": partial(_files, "/v1/search/image", "photo", photos),
        "photos, uploaded": partial(_files, "/v1/images", "photos", photos),
        "archives": partial(_files, "/v1/jobs/upload", "file", archives),
    }


def main(
    *,
    shape: Annotated[list[ShapeName] | None, typer.Option(help="Both, if not given.")] = None,
    runs: Annotated[int, typer.Option(min=1)] = 10,
    seconds: Annotated[float, typer.Option(min=1, help="Of a run.")] = 5.0,
) -> None:
    """Measure and print; exits with code 1 above a bar."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # the servers end, too
    table = Table("shape", "attack", "caller", "over idle: median / most ms", "in time", "MB", "")
    is_met = True
    for one in shape or ShapeName:
        for (attack, caller), found in _measure(one, runs, seconds):
            met = found.is_met(one)
            is_met = is_met and met
            ordered = sorted(found.over_ms)
            in_time = sum(over <= MOST_OVER_MS[one] for over in ordered)
            table.add_row(
                one,
                attack,
                caller,
                f"{ordered[len(ordered) // 2]:.0f} / {ordered[-1]:.0f}",
                f"{in_time} of {len(ordered)}; {found.not_200} lost",
                f"{found.idle_bytes / 1e6:.0f} to {found.peak_bytes / 1e6:.0f}",
                "PASS" if met else "FAIL",
            )
    Console(width=120).print(table)
    raise typer.Exit(0 if is_met else 1)


def _measure(shape: ShapeName, runs: int, seconds: float) -> Iterator[tuple[tuple[str, str], Runs]]:
    with (
        tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder,
        served(shape, Path(folder) / "attacked", "sample") as attacked,
        served(shape, Path(folder) / "control", "sample") as control,
    ):
        for name, attack in attacks().items():
            for caller, key in (("a key", attacked.key), ("no key", "")):
                found = _of(attacked, control, partial(attack, attacked, key), runs, seconds)
                sys.stderr.write(f"{shape}, {name}, {caller}: {found}\n")
                yield (name, caller), found


def _of(
    attacked: Served,
    control: Served,
    attack: Callable[[threading.Event], None],
    runs: int,
    seconds: float,
) -> Runs:
    found = Runs(idle_bytes=resident_bytes(attacked.services))
    with watched(attacked.services) as peak, _attacked_by(attack):
        for _ in range(runs):
            pairs = asyncio.run(probe_pairs(attacked, control, "/livez", seconds, _EVERY_S))
            longest = max(pair.loaded_ms for pair in pairs)
            found.over_ms.append(longest - max(pair.control_ms for pair in pairs))
            found.not_200 += sum(pair.statuses[0] != 200 for pair in pairs)
    found.peak_bytes = peak[0]
    return found


@contextmanager
def _attacked_by(attack: Callable[[threading.Event], None]) -> Iterator[None]:
    ended = threading.Event()
    attackers = [threading.Thread(target=attack, args=(ended,)) for _ in range(_ATTACKERS)]
    for attacker in attackers:
        attacker.start()
    try:
        yield
    finally:
        ended.set()
        for attacker in attackers:
            attacker.join()


if __name__ == "__main__":
    typer.run(main)
