"""How long callers wait while a part is frozen: 16 of them, for 30 s each."""

import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from math import prod
from random import Random

import httpx
import pytest
from PIL import Image

from tests import pictures
from tests.compose.projects import Catalogue, Project, on_engine, paused, project

pytestmark = on_engine
FREEZE_S = 30.0
LATEST_S = 6.0
"""On a machine that does nothing else; without deadlines it would be the whole freeze."""
LATEST_READINESS_S = 1.5
CALLERS_EACH = 4
PAUSES_S = {"upload": 3.0, "readiness": 0.25}
"""Between calls: what is uploaded is ingested afterwards."""
ANSWERS = {200, 202, 429, 503}
_SIZE = (1300, 1300)
MEGABYTE = pictures.encoded(Image.frombytes("RGB", _SIZE, Random(1).randbytes(3 * prod(_SIZE))))
NUMBERS = count()


def upload(catalogue: Catalogue) -> httpx.Response:
    """Add a photo of 1 MB that nobody has."""
    return catalogue.upload(MEGABYTE + next(NUMBERS).to_bytes(8))


CALLS: dict[str, Callable[[Catalogue], httpx.Response]] = {
    "search": Catalogue.search,
    "photo search": lambda catalogue: catalogue.search_by_photo(pictures.jpeg(next(NUMBERS))),
    "list": lambda catalogue: catalogue.get("/v1/images"),
    "upload": upload,
    "readiness": lambda catalogue: catalogue.get("/readyz"),
}


def call_until(stopping: threading.Event, url: str, kind: str) -> tuple[str, float, set[int]]:
    """Call again and again; the longest wait in seconds, and the statuses."""
    longest_s, statuses = 0.0, set()
    with Catalogue(url) as catalogue:
        while not stopping.wait(PAUSES_S.get(kind, 0.0)):
            began = time.monotonic()
            statuses.add(CALLS[kind](catalogue).status_code)
            longest_s = max(longest_s, time.monotonic() - began)
    return kind, longest_s, statuses


@pytest.fixture(scope="module")
def crowded() -> Iterator[Project]:
    """A project of its own: what was uploaded is still being ingested when the last test ends."""
    with project("crowded") as started:
        started.start()
        yield started


@pytest.mark.parametrize("part", ["qdrant", "embedder", "redis", "minio"])
def test_callers_of_a_frozen_part_wait_for_seconds_only(
    crowded: Project, part: str, record_property: Callable[[str, object], None]
) -> None:
    crowded.catalogue.wait_until_searched()
    stopping = threading.Event()
    kinds = [*(kind for kind in CALLS if kind != "readiness")] * CALLERS_EACH + ["readiness"]
    longest: defaultdict[str, float] = defaultdict(float)
    statuses: defaultdict[str, set[int]] = defaultdict(set)
    with ThreadPoolExecutor(len(kinds)) as threads, paused(crowded.container(part)):
        calls = [
            threads.submit(call_until, stopping, crowded.catalogue.url, kind) for kind in kinds
        ]
        stopping.wait(FREEZE_S)
        stopping.set()
        for call in calls:
            kind, longest_s, seen = call.result()
            longest[kind] = max(longest[kind], longest_s)
            statuses[kind] |= seen
    for kind, longest_s in longest.items():
        record_property(f"{part}, {kind}", round(longest_s, 2))
        print(f"{part} frozen: {kind} at most {longest_s:.2f} s, {sorted(statuses[kind])}")  # noqa: T201
    crowded.catalogue.wait_until_searched()
    assert set().union(*statuses.values()) <= ANSWERS
    assert longest.pop("readiness") <= LATEST_READINESS_S
    assert max(longest.values()) <= LATEST_S
