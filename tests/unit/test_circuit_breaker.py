"""After an outage the threads of a worker go on when every dependency answers, and not before."""

import threading
from collections.abc import Callable

import pytest

from petsearch.domain.errors import Overloaded, PetsearchError, SourceUnavailable, Unavailable
from petsearch.jobs import CircuitBreaker
from petsearch.ports import IngestObserver

OUTAGE = Unavailable("no answer")


class Told(IngestObserver):
    """Keeps what it is told of pauses."""

    def __init__(self) -> None:
        self.pauses: list[bool] = []

    def paused(self, *, is_paused: bool) -> None:
        """See `IngestObserver.paused`."""
        self.pauses.append(is_paused)


def breaker(
    probe: Callable[[], None],
    stopping: threading.Event | None = None,
    observer: IngestObserver | None = None,
) -> CircuitBreaker:
    """One that makes no pauses."""
    return CircuitBreaker(
        probe,
        stopping=stopping or threading.Event(),
        observer=observer or IngestObserver(),
        jitter=lambda: 0.0,
    )


class Probe:
    """Fails a number of times."""

    def __init__(self, failures: int) -> None:
        self.failures_left = failures
        self.calls = 0

    def __call__(self) -> None:
        self.calls += 1
        if self.failures_left:
            self.failures_left -= 1
            raise OUTAGE


@pytest.mark.parametrize("failures", [0, 2])
def test_an_outage_ends_when_a_probe_succeeds(failures: int) -> None:
    probe = Probe(failures)
    breaker(probe).wait(OUTAGE, give_up=lambda: False)
    assert probe.calls == failures + 1


def test_it_knows_why_it_is_open() -> None:
    one = breaker(Probe(0))
    one.wait(SourceUnavailable("no hub"), give_up=lambda: False)
    assert one.reason is None
    one.wait(OUTAGE, give_up=lambda: False)
    assert one.reason == "no answer"
    one.record_success()
    assert one.reason is None


def test_it_knows_the_reason_of_the_last_probe() -> None:
    one = breaker(Probe(1))
    reasons: list[str | None] = []

    def look() -> bool:
        reasons.append(one.reason)
        return False

    one.wait(Unavailable("being loaded"), give_up=look)
    assert reasons == ["being loaded", "no answer"]


def test_after_a_success_the_next_outage_is_probed_again() -> None:
    probe = Probe(0)
    one = breaker(probe)
    for _ in range(2):
        one.wait(OUTAGE, give_up=lambda: False)
        one.record_success()
    assert probe.calls == 2


def test_when_all_who_waited_have_given_up_it_closes_by_a_probe() -> None:
    probe, told = Probe(1), Told()
    one = breaker(probe, observer=told)
    one.wait(Unavailable("being loaded"), give_up=lambda: True)
    one.close_if_left()
    assert (one.reason, told.pauses) == ("no answer", [True])
    one.close_if_left()
    assert (one.reason, told.pauses) == (None, [True, False])
    one.close_if_left()
    assert probe.calls == 2, "one that is closed probes nothing"


def test_while_somebody_waits_nobody_else_closes_it() -> None:
    probe = Probe(0)
    one = breaker(probe)

    def look() -> bool:
        one.close_if_left()
        return True

    one.wait(OUTAGE, give_up=look)
    assert (one.reason, probe.calls) == ("no answer", 0)


@pytest.mark.parametrize(
    ("error", "is_stopping", "gives_up"),
    [
        (Overloaded("busy", retry_after_s=1.0), False, False),
        (SourceUnavailable("no hub", retry_after_s=1.0), False, False),
        (OUTAGE, True, False),
        (OUTAGE, False, True),
    ],
    ids=["overloaded", "another site is away", "the process stops", "the lease is lost"],
)
def test_nothing_is_probed_for_a_pause_or_for_one_who_leaves(
    error: PetsearchError,
    is_stopping: bool,  # noqa: FBT001  # pytest passes it by name
    gives_up: bool,  # noqa: FBT001
) -> None:
    probe, stopping = Probe(0), threading.Event()
    if is_stopping:
        stopping.set()
    breaker(probe, stopping).wait(error, give_up=lambda: gives_up)
    assert probe.calls == 0
