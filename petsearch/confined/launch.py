"""Starts a child process that reads the files of strangers."""

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

_SOURCE = str(Path(__file__).parents[2])
"""Where this package was imported from, installed or not."""
_ALONE = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}


def start_child(
    module: str, numbers: Sequence[int], *, files: Sequence[int], **environment: str
) -> subprocess.Popen[bytes]:
    """Run `python -m module` with these numbers as arguments.

    A new program, not a fork: in a fork of a process with threads, a lock that one of them held
    stays locked. It has a session of its own, so that Ctrl-C leaves its end to its parent.

    Args:
        files: descriptors that it has, too.
        environment: what it has beside this process's, of which it has none of our settings: what
            reads the files of strangers needs no passwords.

    Raises:
        OSError: no process can be started.
    """
    return subprocess.Popen(
        [sys.executable, "-P", "-m", module, *map(str, numbers)],
        stdin=subprocess.DEVNULL,
        pass_fds=files,
        env=_environment(environment),
        start_new_session=True,
    )


def _environment(more: Mapping[str, str]) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PETSEARCH_")}
    path = os.pathsep.join(filter(None, (_SOURCE, kept.get("PYTHONPATH"))))
    return {**kept, **_ALONE, **more, "PYTHONPATH": path}
