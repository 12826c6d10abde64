"""`petsearch serve` in a process of its own, for benchmarks that query it over HTTP."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def standalone_server(model: str, data_dir: Path | None = None) -> Iterator[str]:
    """Start a server over `data_dir`, or over an empty data folder, and yield its address."""
    with tempfile.TemporaryDirectory() as empty:
        command = [sys.executable, "-m", "petsearch", "serve", "--data-dir", str(data_dir or empty)]
        process = subprocess.Popen(
            [*command, "--model", model, "--port", "0"],
            stderr=subprocess.PIPE,
            text=True,
            # Nothing reads what follows the address: a full pipe would block the server.
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
