"""Tries each parser of ours on generated input for some minutes; findings stay in .hypothesis.

`python -m tests.tools.fuzz_parsers 10` prints for each test of tests/unit/test_parsers*.py how many
examples it tried and what it found; make fuzz-parsers. A second number says how many tests run at a
time; there are as many as cores otherwise.
"""

import os
import re
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

_FILES = sorted(Path("tests/unit").glob("test_parsers*.py"))


@dataclass(frozen=True)
class Tried:
    """What came of one test."""

    test: str
    examples: int
    seconds: float
    finding: str
    """What pytest said; empty where nothing was found."""


def parser_tests() -> list[str]:
    """Each as `file::function`: all cases of a function try one parser."""
    return [
        f"{file}::{name}"
        for file in _FILES
        for name in re.findall(r"^def (test_\w+)", file.read_text(), re.MULTILINE)
    ]


def try_test(test: str, seconds: float) -> Tried:
    """Run a test with other input again and again, until the time is over or it fails."""
    began, examples, finding = time.monotonic(), 0, ""
    options = ["--quiet", "--timeout=0", "--numprocesses=0", "--hypothesis-show-statistics"]
    command = [sys.executable, "-m", "pytest", *options, "--hypothesis-profile=explore", test]
    while not finding and time.monotonic() - began < seconds:
        ran = subprocess.run(command, check=False, capture_output=True, text=True)
        examples += sum(map(int, re.findall(r"(\d+) passing,", ran.stdout)))
        finding = "" if ran.returncode == 0 else ran.stdout + ran.stderr
    return Tried(test, examples, time.monotonic() - began, finding)


def main(minutes: float, at_a_time: int | None) -> int:
    """1 where something was found."""
    with ThreadPoolExecutor(at_a_time) as threads:
        tried = list(threads.map(lambda test: _told(try_test(test, minutes * 60)), parser_tests()))
    return int(any(one.finding for one in tried))


def _told(tried: Tried) -> Tried:
    said = f"FOUND\n{tried.finding}" if tried.finding else "nothing found"
    name = tried.test.rpartition("::")[2]
    sys.stdout.write(f"{name}: {tried.examples:,} examples in {tried.seconds:.0f} s, {said}\n")
    sys.stdout.flush()
    return tried


if __name__ == "__main__":
    sys.exit(main(float(sys.argv[1]), int(sys.argv[2]) if sys.argv[2:] else os.cpu_count()))
