"""Jobs as the hashes and lists of the ledger hold them, and what an idle job waits for."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from petsearch.domain import (
    ItemStatus,
    Job,
    JobKind,
    LeftOut,
    LeftOutReason,
    OnDuplicate,
    QueueName,
)

_RATE_WINDOW_S = 60.0
_CLIENT_AWAY_S = 60.0
"""A client that adds nothing for so long is named as what its job waits for."""


def _left_out_of(line: str) -> LeftOut:
    reason, _, name = line.partition("\n")
    return LeftOut(name, LeftOutReason(reason))


def job_of(
    job_id: str, fields: Mapping[str, str], samples: Sequence[str], left_out: Sequence[str]
) -> Job:
    """A job by what Redis holds of it, without its obstacle."""
    finished_at, expected = fields.get("finished_at"), fields.get("expected")
    return Job(
        job_id=job_id,
        source=fields["source"],
        created_at=datetime.fromisoformat(fields["created_at"]),
        sealed=fields["sealed"] == "1",
        total=int(fields["total"]),
        counts={status: int(fields.get(f"count:{status.value}", 0)) for status in ItemStatus},
        finished_at=datetime.fromisoformat(finished_at) if finished_at else None,
        reason=fields.get("failure") or fields.get("reason"),
        expected=int(expected) if expected else None,
        queue=QueueName(fields["queue"]),
        on_duplicate=OnDuplicate(fields["on_duplicate"]),
        paused=fields.get("paused") == "1",
        cancelled=fields.get("cancelled") == "1",
        source_failed="failure" in fields,
        rate_per_s=None if finished_at else _rate(samples),
        version=int(fields.get("version", 0)),
        first_retry=int(fields["first_retry"]) if "first_retry" in fields else None,
        # Jobs of earlier versions say no kind.
        kind=JobKind(fields.get("kind", JobKind.INGEST)),
        warned=int(fields.get("warned", 0)),
        left_out={
            reason: int(count)
            for reason in LeftOutReason
            if (count := fields.get(f"left_out:{reason.value}"))
        },
        left_out_names=tuple(map(_left_out_of, left_out)),
        exif_dates=fields.get("exif_dates") != "0",
        gps=fields.get("gps") == "1",
        sees_places=fields.get("sees_places") != "0",
    )


@dataclass(frozen=True)
class Workers:
    """What workers said lately, and how many jobs are theirs."""

    is_ready: bool
    waits_for: str | None
    active_jobs: int


def obstacle_of(
    fields: Mapping[str, str], open_chunks: int, held_chunks: int, workers: Workers
) -> str | None:
    """What a job waits for that has no reason of its own; None if it goes on, or has ended."""
    if {"finished_at", "failure", "reason"} & fields.keys() or fields.get("cancelled") == "1":
        return None
    if fields.get("paused") == "1":
        return "Someone paused this job. Resume it to continue where it stopped."
    if held_chunks:
        return None
    if not workers.is_ready:
        return workers.waits_for or "No worker is running, or none has reported for a while."
    if open_chunks or "spec" in fields:
        return "It waits for its turn behind other jobs." if workers.active_jobs > 1 else None
    idle_s = time.time() - int(fields.get("added_ms", 0)) / 1000
    is_left = fields.get("sealed") != "1" and idle_s > _CLIENT_AWAY_S
    return "It waits for its client, to add photos or to seal it." if is_left else None


def _rate(samples: Sequence[str]) -> float | None:
    """Items per second from `ms:done` samples, the newest first; None if nothing moves."""
    points = [(int(ms) / 1000, int(done)) for ms, _, done in (s.partition(":") for s in samples)]
    recent = [point for point in points if point[0] > time.time() - _RATE_WINDOW_S]
    if len(recent) < 2 or recent[0][0] <= recent[-1][0]:
        return None
    (newest_s, newest), (oldest_s, oldest) = recent[0], recent[-1]
    return round((newest - oldest) / (newest_s - oldest_s), 3)
