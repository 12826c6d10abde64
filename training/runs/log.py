"""The log of a run beside its result: metrics.csv, a row an epoch; log.jsonl, a line a step."""

import csv
import io
import json
from collections.abc import Sequence
from pathlib import Path

from petsearch.atomic_file import write_atomically

Rows = Sequence[dict[str, float]]


def write_log(folder: Path, steps: Rows, epochs: Rows) -> None:
    """Write both files anew: after a resume nothing is there twice.

    Raises:
        StorageFull: no space left; the files before stay.
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
    # An epoch's "step" is how many steps were done, a step's number counts from 0.
    return sorted(named, key=lambda pair: pair[1].get("number", pair[1].get("step", 0) - 0.5))
