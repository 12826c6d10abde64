"""The threads beside the queue go on whatever a chore meets: without them lost work stays lost."""

import threading

import kombu.transport.redis
import pytest
import redis

from petsearch.adapters.redis import CeleryQueue, make_celery
from petsearch.domain import QueueName
from petsearch.domain.errors import Unavailable
from petsearch.jobs import CircuitBreaker, LeaseKeeper
from petsearch.ports import IngestObserver
from services.worker.runtime import WorkerRuntime
from tests.services.house import House

_LEASE_S = 0.03


class FailsOnce:
    """Something that is called again and again, and fails the first time."""

    def __init__(self) -> None:
        self._calls = 0
        self.came_again = threading.Event()

    def __call__(self) -> None:
        self._calls += 1
        if self._calls == 1:
            raise RuntimeError("out of tuna")
        self.came_again.set()


def test_a_chore_that_fails_is_done_again(house: House) -> None:
    stopping, chore = threading.Event(), FailsOnce()
    breaker = CircuitBreaker(
        lambda: None, stopping=stopping, observer=IngestObserver(), jitter=lambda: 0.0
    )
    runtime = WorkerRuntime(
        chunks=house.worker,
        enumerator=house.enumerator,
        cleanup=house.runtime.cleanup,
        leases=LeaseKeeper(_LEASE_S),
        breaker=breaker,
        stopping=stopping,
        chores=(chore,),
    )
    runtime.start()
    came_again = chore.came_again.wait(10)
    runtime.close()
    assert came_again


def test_an_outage_that_nobody_waits_for_any_more_comes_to_its_end(house: House) -> None:
    """As when a job is cancelled, or a lease is lost, while the embedder is away."""
    breaker, chunks = house.runtime.breaker, house.runtime.chunks
    breaker.wait(Unavailable("The embedder is away."), give_up=lambda: True)
    with chunks.in_hand.doing("chunk 0"):  # whose end decides
        chunks.resume_if_left()
        assert breaker.reason == "The embedder is away."
    for chore in house.runtime.chores:
        chore()
    assert breaker.reason is None


def test_a_lease_that_fails_to_be_extended_is_tried_again() -> None:
    keeper, asking = LeaseKeeper(_LEASE_S), FailsOnce()

    def extend() -> bool:
        asking()
        return True

    with keeper.keep(extend) as lease:
        came_again = asking.came_again.wait(10)
    keeper.close()
    assert came_again
    assert not lease.is_lost


def test_a_redis_that_goes_away_while_the_depth_is_asked_for_is_unavailable(
    redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def go_away(*_: object, **__: object) -> bool:
        raise redis.exceptions.ConnectionError("Connection reset by peer")

    app = make_celery(redis_url)
    # Where a connection that was open breaks: connecting has errors of its own.
    monkeypatch.setattr(kombu.transport.redis.Channel, "_has_queue", go_away)
    try:
        with pytest.raises(Unavailable, match="work queue"):
            CeleryQueue(app).depth(QueueName.BULK)
    finally:
        app.close()
