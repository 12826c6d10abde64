"""Whether the parts that the API depends on answer: all asked at once, none waited for long."""

import asyncio
import math
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from typing import NamedTuple

from petsearch.app.services import Services
from petsearch.domain.errors import PetsearchError, StorageFull
from petsearch.models import model_id_of
from petsearch.observability import get_logger

log = get_logger(__name__)

Probe = Callable[[], object]

_PATIENCE_S = 1.0
_REUSE_S = 1.0


class Check(NamedTuple):
    """The state of a part."""

    detail: str
    """`ok`, or what is wrong."""
    is_up: bool
    """Whether it answers. What can only be read, because its disk is full, does."""


OK = Check("ok", is_up=True)


class Readiness:
    """Asks each part in a thread of its own, never twice at a time and not every second.

    A part that hangs blocks one thread, however many requests ask for its state.

    Args:
        probes: by name; each returns, or raises an error of ours.
    """

    def __init__(self, probes: Mapping[str, Probe], *, patience_s: float = _PATIENCE_S) -> None:
        self._probes = probes
        self._patience_s = patience_s
        self._asked: dict[str, tuple[float, Future[Check]]] = {}

    async def check(self) -> dict[str, Check]:
        """The state of each part, by its name."""
        asked = {name: self._answer_of(name) for name in self._probes}
        waiting = [asyncio.wrap_future(answer) for answer in asked.values()]
        await asyncio.wait(waiting, timeout=self._patience_s)
        late = Check(f"It did not answer within {self._patience_s:g} s.", is_up=False)
        return {name: answer.result() if answer.done() else late for name, answer in asked.items()}

    def _answer_of(self, name: str) -> Future[Check]:
        now = time.monotonic()
        asked_at, answer = self._asked.get(name, (-math.inf, None))
        if answer is None or (answer.done() and now - asked_at > _REUSE_S):
            answer = _ask(name, self._probes[name])
            self._asked[name] = now, answer
        return answer


def probes_of(services: Services) -> dict[str, Probe]:
    """What every call asks of the parts."""
    catalogue = services.parts.catalogue
    collections: list[str] = []

    def ask_index() -> None:
        services.storage.index.ping()
        collection = catalogue.any_collection()
        collections[:] = [collection] if collection else []

    def ask_embedder() -> None:
        # Not the index, which may be away: the collection that it named last.
        if collections:
            catalogue.model(model_id_of(collections[0]))
        else:
            services.parts.embedder.models()

    probes: dict[str, Probe] = {
        "index": ask_index,
        "store": services.storage.store.ping,
        "redis": services.storage.ledger.ping,
        "embedder": ask_embedder,
    }
    if services.storage.room is not None:
        probes["disk"] = services.storage.room.check
    return probes


def _ask(name: str, probe: Probe) -> Future[Check]:
    answer: Future[Check] = Future()

    def run() -> None:
        try:
            probe()
        except PetsearchError as error:
            answer.set_result(Check(error.detail, is_up=isinstance(error, StorageFull)))
        except Exception:  # the thread's edge: whoever waits is answered
            log.exception("a probe failed", part=name)
            answer.set_result(Check("It failed; the log says how.", is_up=False))
        else:
            answer.set_result(OK)

    # A daemon: one that hangs does not keep the process from ending.
    threading.Thread(target=run, name=f"probe-{name}", daemon=True).start()
    return answer
