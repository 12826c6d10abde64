"""Faults that strike a running stack as its work goes on, and what starts ended workers again."""

import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

from tests.stack import Stack

_POLL_S = 0.1
_RESTART_PAUSE_S = 0.5


@dataclass(frozen=True)
class Plan:
    """How often and how long what is taken away."""

    kills: int
    """SIGKILLs of workers; one more in the middle of each outage."""
    embedder_down_s: float
    redis_down_s: float
    s3_cut_s: float
    seed: int


class Faults:
    """Strikes while it is open, each fault when a share of the work is done.

    Ended workers are started again, as a container's restart policy does.

    Args:
        share_done: 0..1, how far the work is; may raise while a server is down.
    """

    def __init__(self, stack: Stack, plan: Plan, share_done: Callable[[], float]) -> None:
        self._stack = stack
        self._plan = plan
        self._share_done = share_done
        self._rng = random.Random(plan.seed)
        self._began = time.monotonic()
        self._ending = threading.Event()
        self.log: list[str] = []
        """What was done when, in words."""
        self.kills = 0
        self.gave_up = 0
        """Workers that ended by themselves."""
        self.left = 3 + plan.kills
        """Faults that have not struck yet."""
        self.failure: BaseException | None = None
        self._threads = [
            threading.Thread(target=self._guarded, args=(work,), name=work.__name__)
            for work in (self._strike_all, self._keep_workers)
        ]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ending.set()
        for thread in self._threads:
            thread.join()

    def _guarded(self, work: Callable[[], None]) -> None:
        try:
            work()
        except BaseException as error:  # the thread's edge: the test asks for it
            self.failure = error

    def _strike_all(self) -> None:
        outages = [self._embedder_down, self._redis_down, self._s3_cut]
        faults: list[Callable[[], None]] = [self._kill_worker] * self._plan.kills + outages
        self._rng.shuffle(faults)
        for number, fault in enumerate(faults, start=1):
            self._wait_for(0.9 * number / (len(faults) + 1))
            if self._ending.is_set():
                return
            fault()
            self.left -= 1

    def _wait_for(self, share: float) -> None:
        while not self._ending.wait(_POLL_S):
            if self._share_done() >= share:
                return

    def _kill_worker(self) -> None:
        victim = self._rng.choice(self._stack.workers)
        if victim.is_alive:
            victim.kill()
            self.kills += 1
            self._note(f"{victim.name} killed")

    def _embedder_down(self) -> None:
        self._stack.embedder.kill()
        self._outage("embedder killed", self._plan.embedder_down_s)
        self._stack.embedder.start()
        self._stack.embedder.wait_until_up()
        self._note("embedder up again")

    def _redis_down(self) -> None:
        self._stack.redis.kill()
        self._outage("redis killed", self._plan.redis_down_s)
        self._stack.redis.start()
        self._stack.redis.wait_until_up()
        self._note("redis up again")

    def _s3_cut(self) -> None:
        proxy = self._stack.s3_proxy
        proxy.cut()
        # First it refuses, then it says nothing: programs notice these in different ways.
        self._outage("s3 cut off", self._plan.s3_cut_s, midway=proxy.freeze)
        proxy.restore()
        self._note("s3 there again")

    def _outage(
        self, what: str, seconds: float, *, midway: Callable[[], None] = lambda: None
    ) -> None:
        self._note(what)
        self._ending.wait(seconds / 2)
        midway()
        self._kill_worker()
        self._ending.wait(seconds / 2)

    def _keep_workers(self) -> None:
        while not self._ending.wait(_RESTART_PAUSE_S):
            for worker in self._stack.workers:
                if worker.is_alive:
                    continue
                if worker.exit_code != -9:
                    self.gave_up += 1
                    self._note(f"{worker.name} ended by itself, exit code {worker.exit_code}")
                worker.start()

    def _note(self, what: str) -> None:
        self.log.append(f"{time.monotonic() - self._began:6.1f} s  {what}")
