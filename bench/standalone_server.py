"""`petsearch serve` as a process of its own, for benchmarks that ask from outside."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def standalone_server(model: str) -> Iterator[str]:
    """A server over an empty data folder; its address."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "petsearch", "serve", "--data-dir", folder]
        process = subprocess.Popen(
            [*command, "--model", model, "--port", "0"],
            stderr=subprocess.PIPE,
            text=True,
            # Nobody reads what comes after the address: a full pipe would stop the server.
            env={**os.environ, "PETSEARCH_LOG_LEVEL": "ERROR"},
        )
        assert process.stderr is not None
        try:
            yield next(
                line.split()[-1] for line in process.stderr if line.startswith("petsearch is ready")
            )
        finally:
            process.terminate()
            process.wait()
