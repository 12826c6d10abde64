"""Runs tests again and again beside other load: two busy processes and one that writes to the disk.

`python -m tests.tools.steady 10 [files]` prints what was not green each time; make steady.
"""

import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

_BUSY = "while True: pass"
_WRITER = """
import os, sys
while True:
    with open(sys.argv[1], "wb") as file:
        for _ in range(64):
            file.write(os.urandom(1 << 20))
        os.fsync(file.fileno())
"""


@contextmanager
def second_load() -> Iterator[None]:
    """Load the machine while the block runs."""
    with tempfile.NamedTemporaryFile() as target:
        commands = [[_BUSY], [_BUSY], [_WRITER, target.name]]
        running = [subprocess.Popen([sys.executable, "-c", *command]) for command in commands]
        try:
            yield
        finally:
            for process in running:
                process.kill()
                process.wait()


def main(times: int, files: list[str]) -> int:
    """How many runs were not green."""
    failed = 0
    with second_load():
        for number in range(1, times + 1):
            ran = subprocess.run(
                [sys.executable, "-m", "pytest", "-q", *files],
                check=False,
                capture_output=True,
                text=True,
            )
            red = re.findall(r"^(?:FAILED|ERROR) .*$", ran.stdout, re.MULTILINE)
            failed += ran.returncode != 0
            said = red or ["green" if ran.returncode == 0 else ran.stdout[-2000:] + ran.stderr]
            sys.stdout.write(f"{number} of {times}: " + "\n  ".join(said) + "\n")
            sys.stdout.flush()
    return failed


if __name__ == "__main__":
    sys.exit(min(1, main(int(sys.argv[1]), sys.argv[2:])))
