"""Ingest while everything fails once: run it, count afterwards, and say what does not add up."""

import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from petsearch.adapters.objects import minio
from petsearch.adapters.qdrant.index import QdrantIndex, connect
from petsearch.adapters.redis import RedisLedger
from petsearch.client import Client, upload
from petsearch.client.retries import with_retries
from petsearch.domain import Filters, JsonDict
from petsearch.domain.errors import NotFound
from tests.fault.faults import Faults, Plan
from tests.fault.material import Material
from tests.stack import Stack

_SETTLE_S = 60.0
"""How long what is cleared after the accounting may still lie about."""


@dataclass(frozen=True)
class Counts:
    """What there is at the end, wherever it is counted."""

    sent: int
    unique_good: int
    broken: int
    by_ledger: dict[str, int]
    total: int
    by_outcomes: dict[str, int]
    names_twice: int
    wrong_outcomes: int
    points: int
    originals: int
    displays: int
    thumbs: int
    strangers: int
    """Points and objects of images that were never sent."""
    staged: int
    active_jobs: int

    def problems(self) -> list[str]:
        """What does not add up; empty if all is well."""
        repeats = self.sent - self.unique_good - self.broken
        wanted = {"ingested": self.unique_good, "duplicate": repeats, "refused": self.broken}
        expected: dict[str, object] = {
            "total": self.sent,
            "by_ledger": {status: n for status, n in wanted.items() if n},
            "by_outcomes": {status: n for status, n in wanted.items() if n},
            "names_twice": 0,
            "wrong_outcomes": 0,
            **dict.fromkeys(("points", "originals", "displays", "thumbs"), self.unique_good),
            **dict.fromkeys(("strangers", "staged", "active_jobs"), 0),
        }
        return [
            f"{name} is {getattr(self, name)}, not {value}"
            for name, value in expected.items()
            if getattr(self, name) != value
        ]


@dataclass(frozen=True)
class Report:
    """One run."""

    counts: Counts
    faults: tuple[str, ...]
    kills: int
    gave_up: int
    seconds: float

    def __str__(self) -> str:
        lines = [f"{name:15} {value}" for name, value in vars(self.counts).items()]
        return "\n".join(
            [
                f"{self.kills} workers killed, {self.gave_up} ended by themselves; "
                f"{self.seconds:.0f} s from the first call to the last outcome",
                *self.faults,
                *lines,
            ]
        )


def ingest_under_faults(folder: Path, photos: int, plan: Plan, env: dict[str, str]) -> Report:
    """Upload `photos` photos to a stack in `folder` while `plan` happens to it.

    Raises:
        AssertionError: a part did not come back.
    """
    material = Material(photos, plan.seed)
    with Stack(folder, env=env) as stack, Client(stack.api_url) as client:
        index = _index(stack)

        def share_done() -> float:
            current = index.current()
            return index.count(current, Filters()) / photos if current else 0.0

        started = time.monotonic()
        with Faults(stack, plan, share_done) as faults:
            job = upload(client, material.source, name="under faults")
        if faults.failure is not None:
            raise faults.failure
        assert not faults.left, f"the work was done before {faults.left} faults: {faults.log}"
        seconds = time.monotonic() - started
        counts = _settled(stack, client, index, job, material)
        index.close()
    return Report(counts, tuple(faults.log), faults.kills, faults.gave_up, seconds)


def _settled(
    stack: Stack, client: Client, index: QdrantIndex, job: JsonDict, material: Material
) -> Counts:
    deadline = time.monotonic() + _SETTLE_S
    while True:
        counts = _count(stack, client, index, job, material)
        if not counts.problems() or time.monotonic() > deadline:
            return counts
        time.sleep(1.0)


def _count(
    stack: Stack, client: Client, index: QdrantIndex, job: JsonDict, material: Material
) -> Counts:
    outcomes = with_retries(lambda: list(client.job_items(job["job_id"])))
    names = Counter(outcome["filename"] for outcome in outcomes)
    of_name = {outcome["filename"]: outcome["status"] for outcome in outcomes}
    wanted = set(material.names_by_image)
    current = index.current()
    assert current is not None
    store = _Objects(stack)
    found = {kind: store.image_ids(kind) for kind in ("originals", "display", "thumbs")}
    points = index.count(current, Filters())
    known_points = len(index.get(current, sorted(wanted)))
    connection = stack.redis_client()
    active_jobs = len(RedisLedger(connection).active())
    connection.close()
    return Counts(
        sent=material.count,
        unique_good=len(wanted),
        broken=len(material.broken),
        by_ledger={status: n for status, n in job["counts"].items() if n},
        total=job["total"],
        by_outcomes=dict(Counter(outcome["status"] for outcome in outcomes)),
        names_twice=sum(n - 1 for n in names.values()),
        wrong_outcomes=_wrong_outcomes(of_name, material),
        points=points,
        originals=len(found["originals"]),
        displays=len(found["display"]),
        thumbs=len(found["thumbs"]),
        strangers=points - known_points + sum(len(ids - wanted) for ids in found.values()),
        staged=store.count("staging/"),
        active_jobs=active_jobs,
    )


def _wrong_outcomes(of_name: dict[str, str], material: Material) -> int:
    """Broken files that were not refused, and images that were not ingested by just one file."""
    wrong = sum(of_name.get(name) != "refused" for name in material.broken)
    for names in material.names_by_image.values():
        statuses = sorted(of_name.get(name, "absent") for name in names)
        wrong += statuses != ["duplicate"] * (len(names) - 1) + ["ingested"]
    return wrong


def _index(stack: Stack) -> QdrantIndex:
    return QdrantIndex(connect(stack.env["PETSEARCH_INDEX_URL"], use_grpc=False))


class _Objects:
    """What lies in the stack's bucket."""

    def __init__(self, stack: Stack) -> None:
        self._store = minio.open_bucket(
            stack.env["PETSEARCH_STORE_URL"],
            access_key=stack.env["PETSEARCH_S3_ACCESS_KEY"],
            secret_key=stack.env["PETSEARCH_S3_SECRET_KEY"],
        )

    def count(self, prefix: str) -> int:
        """How many objects there are under a prefix."""
        try:
            return sum(1 for _ in self._store.list_keys(prefix))
        except NotFound:
            return 0

    def image_ids(self, kind: str) -> set[str]:
        """The images that have an object of a kind."""
        keys = self._store.list_keys(f"{kind}/")
        return {Path(key).name.removesuffix(".jpg") for key in keys}
