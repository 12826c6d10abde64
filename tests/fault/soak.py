"""The fault test at length: `python -m tests.fault.soak`, or `make soak` (up to 15 minutes)."""

import shutil
import signal
import sys
import tempfile
from pathlib import Path
from typing import Annotated

import typer

from tests.fault.faults import Plan
from tests.fault.under_faults import ingest_under_faults


def main(
    photos: Annotated[int, typer.Option(min=50)] = 2000,
    kills: Annotated[int, typer.Option(help="Of workers, beside those in outages.")] = 10,
    seed: int = 1,
    logs: Annotated[Path | None, typer.Option(help="Keep logs and data in this folder.")] = None,
) -> None:
    """Ingest photos while workers are killed and each dependency is gone for a while."""
    # A stop must reach the processes that run here, too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    plan = Plan(kills=kills, embedder_down_s=20, redis_down_s=10, s3_cut_s=10, seed=seed)
    folder = logs or Path(tempfile.mkdtemp(prefix="petsearch-soak-"))
    report = ingest_under_faults(folder, photos, plan, {})
    typer.echo(str(report))
    problems = report.counts.problems()
    for problem in problems:
        typer.echo(f"WRONG: {problem}")
    if problems:
        typer.echo(f"The logs are in {folder / 'logs'}.")
        raise typer.Exit(1)
    if logs is None:
        shutil.rmtree(folder)
    typer.echo("Every photo is accounted for exactly once.")


if __name__ == "__main__":
    typer.run(main)
