"""Sends hostile files to a server by every way, and measures: `python -m tests.hostile_files`.

`--shape standalone` is one process that does everything, `--shape distributed` the services. Each
file has to get its reason within 5 s and its memory, and nothing that serves may end.
"""

import argparse
import itertools
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bench.process_usage import cpu_s, resident_bytes, watched
from petsearch.jobs.enumeration import CHUNK_BYTES
from petsearch.photos.decode_memory import SPARE_BYTES
from petsearch.settings import Limits
from tests import pictures
from tests.hostile_files import KINDS, HostileFile, hostile_files
from tests.hostile_files.targets import SHAPES, Target
from tests.hostile_files.ways import Verdict

MOST_S = 5.0
_TRIES = 3
BUDGET_BYTES = Limits().decode_bytes + SPARE_BYTES + CHUNK_BYTES
"""Over idle, of all processes: photos that are being decoded, and a chunk that is read."""


@dataclass
class Row:
    """What was measured of a kind of file on one way."""

    files: int = 0
    accepted: int = 0
    refused: int = 0
    worst_s: float = 0.0
    cpu_s: float = 0.0
    slowest: str = ""
    most_bytes: int = 0
    largest: str = ""
    missed: list[str] = field(default_factory=list)

    def add(self, name: str, sent: "Sent", over_idle: int) -> None:
        """Count a file."""
        verdict, seconds = sent.verdict, sent.seconds
        self.cpu_s = max(self.cpu_s, sent.cpu_s)
        self.files += 1
        self.accepted += verdict.accepted > 0
        self.refused += verdict.accepted == 0
        self.missed += [f"{name}: {problem}" for problem in verdict.problems[:2]]
        if seconds > self.worst_s:
            self.worst_s, self.slowest = seconds, name
        if over_idle > self.most_bytes:
            self.most_bytes, self.largest = over_idle, name
        if seconds > MOST_S:
            self.missed.append(f"{name}: {seconds:.1f} s")
        if over_idle > BUDGET_BYTES:
            self.missed.append(f"{name}: {over_idle / 1e6:.0f} MB over idle")


@dataclass(frozen=True)
class Sent:
    """What became of a file, and how long that took."""

    verdict: Verdict
    seconds: float
    cpu_s: float


def _sent(target: Target, send: Callable[[HostileFile], Verdict], file: HostileFile) -> Sent:
    """Send a file; up to twice more if it took too long: the processor may have been busy."""
    for _ in range(_TRIES):
        began, cpu = time.monotonic(), cpu_s(target.pids)
        verdict = send(file)
        sent = Sent(verdict, time.monotonic() - began, cpu_s(target.pids) - cpu)
        if sent.seconds <= MOST_S:
            break
    return sent


def attack(
    target: Target, files: Iterator[HostileFile], *, verbose: bool = False
) -> dict[tuple[str, str], Row]:
    """Send every file by every way; what was measured by kind and way."""
    warm = HostileFile("JPEG", "photo", "good", pictures.jpeg(1))
    for send in target.ways.of(warm).values():
        send(warm)
    idle = resident_bytes(target.pids)
    rows: dict[tuple[str, str], Row] = {}
    for file in files:
        for way, send in target.ways.of(file).items():
            with watched(target.pids) as peak:
                sent = _sent(target, send, file)
            over = peak[0] - idle
            row = rows.setdefault((file.kind, way), Row())
            row.add(file.name, sent, over)
            if verbose:
                used = f"{sent.seconds:7.2f} s{sent.cpu_s:7.2f} s CPU{over / 1e6:7.0f} MB"
                said = f"{sent.verdict.accepted}/{sent.verdict.refused}"
                sys.stdout.write(f"{file.kind:8}{way:10}{used}  {file.name} {said}\n")
                sys.stdout.flush()
            if not target.is_alive:
                row.missed.append(f"{file.name}: a process that serves ended")
                return rows
    return rows


def _with_progress(files: Iterator[HostileFile]) -> Iterator[HostileFile]:
    """The files; each new kind is named on stderr, since all of them take minutes."""
    began = time.monotonic()
    for kind, of_kind in itertools.groupby(files, key=lambda file: file.kind):
        sys.stderr.write(f"{time.monotonic() - began:5.0f} s: {kind}\n")
        yield from of_kind


def table(rows: dict[tuple[str, str], Row]) -> Iterator[str]:
    """The lines of a table."""
    names = f"{'files':>6}{'taken':>7}{'refused':>9}{'worst s':>9}{'CPU s':>7}{'MB':>7}"
    yield f"{'kind':9}{'way':10}{names}"
    for (kind, way), row in rows.items():
        counts = f"{row.files:6}{row.accepted:7}{row.refused:9}"
        measured = f"{row.worst_s:9.2f}{row.cpu_s:7.2f}{row.most_bytes / 1e6:7.0f}"
        yield f"{kind:9}{way:10}{counts}{measured}   {row.slowest}"
    yield from (
        f"MISSED {kind} {way}: {missed}"
        for (kind, way), row in rows.items()
        for missed in row.missed
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Attack a server of one shape; 0 if no bar is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shape", choices=SHAPES, default="standalone")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--kind", default=[], choices=KINDS, nargs="*", help="files of this kind alone"
    )
    parser.add_argument("--verbose", action="store_true", help="print every file")
    given = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder, SHAPES[given.shape](Path(folder)) as target:
        files = (f for f in hostile_files(given.seed) if not given.kind or f.kind in given.kind)
        rows = attack(target, _with_progress(files), verbose=given.verbose)
    for line in table(rows):
        sys.stdout.write(f"{line}\n")
    count = sum(row.files for row in rows.values())
    missed = sum(len(row.missed) for row in rows.values())
    sys.stdout.write(f"{count} runs, {missed} bars missed\n")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
