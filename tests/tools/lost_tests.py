"""Checks that no test was lost since a commit: `python -m tests.tools.lost_tests [COMMIT]`.

Collects the tests of that commit and of this checkout. A test that is gone must be explained by
lost_tests.tsv: a row has an id of the old commit, its id now (empty if the test was removed), and
the reason. A row about a file or a function stands for every test in it; the longest one counts.
"""

import subprocess
import sys
import tempfile
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

_ROOT = Path(__file__).parents[2]
_ROWS = Path(__file__).with_suffix(".tsv")
_SINCE = "49c9576"


@dataclass(frozen=True)
class Change:
    """What became of a test, or of all tests of a file."""

    new_id: str
    """Empty if it was removed."""
    reason: str


def read_changes(text: str) -> dict[str, Change]:
    """Read the rows of lost_tests.tsv by their old ids.

    Raises:
        ValueError: a row has no reason, or an id has two rows.
    """
    changes: dict[str, Change] = {}
    for line in text.splitlines()[1:]:
        old_id, new_id, reason = line.split("\t")
        if not reason.strip() or old_id in changes:
            raise ValueError(f"no reason, or a second row: {line}")
        changes[old_id] = Change(new_id, reason)
    return changes


def unexplained(
    old_ids: Collection[str], new_ids: Collection[str], changes: Mapping[str, Change]
) -> list[str]:
    """Return the old ids that are gone without a row that explains it."""
    kept = {part for test in new_ids for part in _parts(test)}
    return [test for test in old_ids if test not in kept and not _is_explained(test, kept, changes)]


def _is_explained(test: str, kept: Collection[str], changes: Mapping[str, Change]) -> bool:
    row = next((part for part in _parts(test) if part in changes), None)
    if row is None:
        return False
    new_id = changes[row].new_id
    return not new_id or new_id + test.removeprefix(row) in kept or new_id in kept


def _parts(test: str) -> Iterator[str]:
    """The id, the function without its parameters, the file."""
    yield test
    yield test.partition("[")[0]
    yield test.partition("::")[0]


def collect(root: Path) -> list[str]:
    """Collect the ids of all tests of a checkout."""
    command = [
        sys.executable,
        "-m",
        "pytest",
        "--collect-only",
        "-q",
        "-n0",
        "-p",
        "no:cacheprovider",
    ]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    if done.returncode:
        raise typer.BadParameter(
            f"the tests of {root} cannot be collected:\n{done.stdout[-2000:]}{done.stderr[-2000:]}"
        )
    return [line for line in done.stdout.splitlines() if "::" in line]


def main(commit: Annotated[str, typer.Argument(help="the old commit")] = _SINCE) -> None:
    """Compare the tests of this checkout with those of an old commit."""
    with tempfile.TemporaryDirectory() as folder:
        old = Path(folder) / "old"
        tree = ["git", "-C", str(_ROOT), "worktree"]
        subprocess.run([*tree, "add", "--quiet", "--detach", str(old), commit], check=True)
        try:
            old_ids = collect(old)
        finally:
            subprocess.run([*tree, "remove", "--force", str(old)], check=True)
    new_ids = collect(_ROOT)
    lost = unexplained(old_ids, new_ids, read_changes(_ROWS.read_text()))
    typer.echo(f"{len(old_ids)} tests at {commit}, {len(new_ids)} now, {len(lost)} unexplained")
    for test in lost:
        typer.echo(test)
    if lost:
        raise typer.Exit(1)


if __name__ == "__main__":
    typer.run(main)
