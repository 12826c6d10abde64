"""The names under which Redis holds jobs: a hash each, its parts beside it, and the sets of all."""

PREFIX = "petsearch:"
JOB_PREFIX = f"{PREFIX}job:"
JOBS = f"{PREFIX}jobs"
"""The sorted set of all jobs, by when they were opened."""
ACTIVE = f"{PREFIX}jobs:active"
"""The set of the jobs that are not final."""
DISCARDS = f"{PREFIX}discards"
"""The sorted set of jobs whose objects are to be deleted, by when the lease on that ends, in ms."""
PARTS = (
    *("pending", "queued", "holders", "since", "starts", "chunks", "reserved", "marks"),
    *("samples", "problems", "reading", "left_out"),
)


def job_key(job_id: str) -> str:
    """The hash of a job."""
    return f"{JOB_PREFIX}{job_id}"


def part_key(job_id: str, name: str) -> str:
    """A part of a job, by one of `PARTS`."""
    return f"{job_key(job_id)}:{name}"


def keys_of(job_id: str) -> list[str]:
    """The hash of a job, and all its parts."""
    return [job_key(job_id), *(part_key(job_id, name) for name in PARTS)]
