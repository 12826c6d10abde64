"""What goes on while something is lost: searches, probes and an ingest, each with its times."""

import contextlib
import itertools
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial

import httpx

from petsearch.client import Client, Photo
from petsearch.client.retries import with_retries
from petsearch.domain import JsonDict
from petsearch.domain.errors import PetsearchError

PATIENCE_S = 7.0
"""How long a caller waits: a little longer than an API takes to say that it cannot answer."""
BATCH_PHOTOS = 4


@dataclass
class Answers:
    """When calls succeeded (seconds since the epoch), how long they took, how others failed."""

    at: list[float] = field(default_factory=list)
    took_s: list[float] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)

    def count(self, call: Callable[[], object]) -> None:
        """Make a call and note what becomes of it."""
        began = time.time()
        try:
            call()
        except (PetsearchError, httpx.HTTPError) as error:
            self.failures.append(f"{type(error).__name__}: {error}")
            return
        self.at.append(time.time())
        self.took_s.append(self.at[-1] - began)

    @property
    def total(self) -> int:
        """All calls."""
        return len(self.at) + len(self.failures)

    def __str__(self) -> str:
        return f"{len(self.at)} of {self.total}"


def gap_s(times: Sequence[float], since: float, until: float) -> float:
    """The longest time without any of them."""
    within = [since, *sorted(one for one in times if since < one < until), until]
    return max(later - earlier for earlier, later in itertools.pairwise(within))


@contextlib.contextmanager
def repeated(call: Callable[[int], object], pause_s: float) -> Iterator[Answers]:
    """Make a call again and again beside the block; it is given its number."""
    answers, ending = Answers(), threading.Event()

    def go_on() -> None:
        for number in itertools.count():
            answers.count(partial(call, number))
            if ending.wait(pause_s):
                return

    thread = threading.Thread(target=go_on)
    thread.start()
    try:
        yield answers
    finally:
        ending.set()
        thread.join()


@contextlib.contextmanager
def searches(api_urls: Sequence[str]) -> Iterator[Answers]:
    """Searches for words that no cache holds, by one caller that knows all APIs."""
    with (
        Client(",".join(api_urls), timeout_s=PATIENCE_S) as client,
        repeated(lambda number: client.search(f"grey cat number {number}"), 0.1) as answers,
    ):
        yield answers


@contextlib.contextmanager
def probes(api_urls: Sequence[str]) -> Iterator[list[Answers]]:
    """`/readyz` of each API, as often as it answers."""
    with contextlib.ExitStack() as stack:
        http = stack.enter_context(httpx.Client(timeout=PATIENCE_S))

        def ask(_: int, url: str) -> None:
            http.get(f"{url}/readyz").raise_for_status()

        yield [stack.enter_context(repeated(partial(ask, url=url), 0.25)) for url in api_urls]


class Ingest:
    """Photos that are sent a few at a time, each call until it is answered.

    Args:
        pause_s: between two calls.
    """

    def __init__(self, client: Client, photos: Iterator[Photo], pause_s: float) -> None:
        self._client = client
        self._photos = photos
        self._pause_s = pause_s
        self._thread = threading.Thread(target=self._send_all)
        self.answers = Answers()
        self.job: JsonDict = {}
        self.failure: BaseException | None = None

    def __enter__(self) -> "Ingest":
        self.job = with_retries(lambda: self._client.open_job("under a loss"))
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._thread.join()

    def finish(self) -> JsonDict:
        """Wait until all photos are sent and accounted for; returns the job."""
        self._thread.join()
        if self.failure is not None:
            raise self.failure
        with_retries(lambda: self._client.seal_job(self.job["job_id"]))
        return finished(self._client, self.job["job_id"])

    def _send_all(self) -> None:
        try:
            pausing = threading.Event()
            for batch in iter(lambda: [*itertools.islice(self._photos, BATCH_PHOTOS)], []):
                send = partial(
                    self._client.add_photos, self.job["job_id"], batch, key=uuid.uuid4().hex
                )
                self.answers.count(partial(with_retries, send))
                pausing.wait(self._pause_s)
        except BaseException as error:  # the thread's edge: `finish` raises it
            self.failure = error


def finished(client: Client, job_id: str) -> JsonDict:
    """A job, when it has ended."""
    pausing = threading.Event()
    while True:
        job = with_retries(lambda: client.job(job_id))
        if job["finished_at"] is not None:
            return job
        pausing.wait(0.25)
