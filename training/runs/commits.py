"""The git commit that a result was made with."""

import subprocess
from pathlib import Path


def current_commit(folder: Path) -> str | None:
    """The commit checked out in `folder`; None outside a git checkout.

    "-dirty" is appended if a file under the parent of `folder` was changed or added.
    """
    commit = _git(folder, "rev-parse", "HEAD")
    changed = _git(folder.parent, "status", "--porcelain", "--", ".")
    return f"{commit}-dirty" if commit and changed else commit


def _git(folder: Path, *arguments: str) -> str | None:
    command = ["git", "--no-optional-locks", "-C", str(folder), *arguments]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout.strip() or None
