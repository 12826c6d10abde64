"""The log of a run: metrics.csv, one row per epoch; log.jsonl, one line per step and epoch."""

import csv
import io
import json
from collections.abc import Sequence
from pathlib import Path

from petsearch.atomic_file import write_atomically

Rows = Sequence[dict[str, float]]


def write_log(folder: Path, steps: Rows, epochs: Rows) -> None:
    """Rewrite both files, so that a resumed run has every entry once.

    Raises:
        StorageFull: no space left; the previous files are kept.
    """
    lines = [json.dumps({"kind": kind, **row}) for kind, row in _in_order(steps, epochs)]
    write_atomically(folder / "log.jsonl", ("\n".join(lines) + "\n").encode())
    table = io.StringIO()
    if epochs:
        writer = csv.DictWriter(table, list(epochs[0]))
        writer.writeheader()
        writer.writerows(epochs)
    write_atomically(folder / "metrics.csv", table.getvalue().encode())


def _in_order(steps: Rows, epochs: Rows) -> list[tuple[str, dict[str, float]]]:
    named = [("step", row) for row in steps] + [("epoch", row) for row in epochs]
    # The "step" of an epoch is the number of steps done; steps are numbered from 0.
    return sorted(named, key=lambda pair: pair[1].get("number", pair[1].get("step", 0) - 0.5))
