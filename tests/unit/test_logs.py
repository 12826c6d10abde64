"""Where logs are JSON, what Python itself says is a line of the log, too."""

import json
import subprocess
import sys

PROGRAM = """
import threading, warnings
from petsearch.observability import configure_logging

configure_logging(json=True)
warnings.warn("old")
thread = threading.Thread(target=lambda: 1 / 0)
thread.start()
thread.join()
raise RuntimeError("over several\\nlines")
"""


def test_warnings_and_uncaught_exceptions_are_json() -> None:
    command = [sys.executable, "-W", "always", "-c", PROGRAM]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    lines = [json.loads(line) for line in done.stderr.splitlines()]
    assert [line["level"] for line in lines] == ["warning", "critical", "critical"]
    assert "old" in lines[0]["event"]
    assert "ZeroDivisionError" in lines[1]["exception"]
    assert "RuntimeError: over several" in lines[2]["exception"]
