"""Adds to points of earlier versions what filters need since, while the services run."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from petsearch.observability import get_logger
from petsearch.ports.raw_index import RawIndex
from petsearch.reindex import WriteSet

log = get_logger(__name__)

_PAGE = 200
_WORKS_S = 3.0
"""At a time: other chores of the thread are due."""
_LOOKS_AGAIN_S = 600.0
"""A process of the earlier version may still write, while services are upgraded one by one."""


@dataclass(kw_only=True)
class PayloadUpdater:
    """Updates all collections that are written to, a part in each call."""

    index: RawIndex
    write_set: WriteSet
    clock: Callable[[], float] = time.monotonic
    _done_at: dict[str, float] = field(default_factory=dict, init=False)

    def __call__(self) -> None:
        """Work for some seconds, or until nothing is left to do."""
        names = {*self.write_set.store.read().collections, self.index.current()}
        started, count = self.clock(), 0
        for name in sorted(filter(None, names)):
            if self.clock() - self._done_at.get(name, -_LOOKS_AGAIN_S) < _LOOKS_AGAIN_S:
                continue
            while tried := self.index.update_payloads(name, limit=_PAGE):
                count += tried
                if self.clock() - started >= _WORKS_S:
                    break
            if not tried:
                self._done_at[name] = self.clock()
        if count:
            log.info("payloads updated", count=count)
