"""Runs every test and prints branch coverage by package, subprocesses included: `make coverage`.

`--against` takes the table of an earlier run, and fails if a package is covered less than there.
A program that is killed by SIGKILL leaves no data.
"""

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

_ROOT = Path(__file__).parents[2]
_REPORT = _ROOT / "build/coverage/report.json"
_ROUNDING = 0.1
"""Percentage points: which branches a test with threads takes varies by some."""

Shares = dict[str, float]
"""The percentage of branches taken, by package."""


def by_package(report: Mapping[str, Any]) -> Shares:
    """The shares of a report of coverage.py as JSON; a package's own modules alone."""
    branches, covered = Counter[str](), Counter[str]()
    for name, file in report["files"].items():
        package = ".".join(Path(name).parent.parts)
        branches[package] += file["summary"]["num_branches"]
        covered[package] += file["summary"]["covered_branches"]
    return {
        package: 100 * covered[package] / branches[package] if branches[package] else 100.0
        for package in sorted(branches)
    }


def read_table(text: str) -> Shares:
    """The shares of a printed table."""
    rows = (line.split() for line in text.splitlines() if line.endswith("%"))
    return {package: float(share.rstrip("%")) for package, share in rows}


def measure(arguments: list[str]) -> Shares:
    """Run pytest under coverage.py."""
    coverage = [sys.executable, "-m", "coverage"]
    _REPORT.parent.mkdir(parents=True, exist_ok=True)
    subprocess.run([*coverage, "erase"], cwd=_ROOT, check=True)
    done = subprocess.run([*coverage, "run", "-m", "pytest", *arguments], cwd=_ROOT, check=False)
    subprocess.run([*coverage, "combine", "--quiet"], cwd=_ROOT, check=True)
    report = [*coverage, "json", "--quiet", "-o", str(_REPORT)]
    subprocess.run(report, cwd=_ROOT, check=True)
    if done.returncode:
        typer.echo("Tests failed: the shares below are of an incomplete run.")
    return by_package(json.loads(_REPORT.read_text()))


def main(
    arguments: Annotated[list[str] | None, typer.Argument(help="for pytest")] = None,
    against: Annotated[Path | None, typer.Option(help="the table of an earlier run")] = None,
) -> None:
    """Measure, print, and compare."""
    shares = measure(arguments or [])
    before = read_table(against.read_text()) if against else {}
    lower = [name for name, share in shares.items() if share < before.get(name, 0) - _ROUNDING]
    for package, share in shares.items():
        typer.echo(f"{package:32} {share:6.1f}%")
    if lower:
        typer.echo(f"Lower than before: {', '.join(lower)}")
    sys.exit(bool(lower))


if __name__ == "__main__":
    typer.run(main)
