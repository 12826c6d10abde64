"""Nothing is lost and nothing counts twice while workers, Redis, S3 and the embedder go away."""

from pathlib import Path

import typer

from tests.fault.faults import Plan
from tests.fault.under_faults import ingest_under_faults

PLAN = Plan(kills=0, embedder_down_s=3, redis_down_s=2, s3_cut_s=2, seed=11)
"""Three kills, in the middle of an outage each; `make soak` does more and longer."""


def test_every_photo_is_accounted_once_whatever_fails(tmp_path: Path) -> None:
    report = ingest_under_faults(tmp_path, 150, PLAN, {"PETSEARCH_LEASE_S": "4"})
    typer.echo(str(report))
    assert report.counts.problems() == [], report
    assert report.kills >= 2
