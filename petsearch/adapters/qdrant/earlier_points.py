"""Whether a collection has points of earlier versions, and how those write their tags."""

import threading
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass

from petsearch.adapters.qdrant.payload import TAGS

_UNSURE_S = 10.0
"""Points are updated meanwhile, and more spellings than there are do no harm."""
_SURE_S = 60.0
_NONE_LEFT_AFTER_S = 600.0
"""Processes of the earlier version may still write, while services are upgraded one by one."""

Spellings = Mapping[str, Collection[str]]
"""Tags as they are written, by what they are compared as."""


@dataclass(frozen=True)
class _Look:
    found: Spellings | None
    """None: there were no such points."""
    at: float
    none_since: float
    """When there were none, and at no look since; now, where there are some."""

    @property
    def is_sure(self) -> bool:
        """Whether there have been none for so long that none are written any more."""
        return self.found is None and self.at - self.none_since >= _NONE_LEFT_AFTER_S

    @property
    def keep_s(self) -> float:
        """How long it holds."""
        return _SURE_S if self.is_sure else _UNSURE_S


class EarlierPoints:
    """Looks for them and remembers for a while what there was. Thread-safe."""

    def __init__(
        self, read: Callable[[str], Iterable[str] | None], clock: Callable[[], float]
    ) -> None:
        """Look by `read`, which returns the tags of such points, and None without such points."""
        self._read = read
        self._clock = clock
        self._looks: dict[str, _Look] = {}
        self._looking = threading.Lock()

    def tags(self, collection: str) -> Spellings | None:
        """Spellings of such points' tags; None: there have been no such points for a while."""
        look = self._look(collection)
        return None if look.is_sure else look.found or {}

    def _look(self, collection: str) -> _Look:
        last = self._looks.get(collection)
        if last and self._clock() - last.at < last.keep_s:
            return last
        # Where something is known, one caller looks, and the others use that meanwhile.
        if not self._looking.acquire(blocking=last is None):
            assert last is not None
            return last
        try:
            return self._looked(collection, last)
        finally:
            self._looking.release()

    def _looked(self, collection: str, last: _Look | None) -> _Look:
        tags = self._read(collection)
        now = self._clock()
        found = None if tags is None else _by_folded(tags)
        none_since = last.none_since if last and last.found is None and found is None else now
        look = self._looks[collection] = _Look(found, now, none_since)
        return look


def _by_folded(tags: Iterable[str]) -> Spellings:
    found: defaultdict[str, list[str]] = defaultdict(list)
    for tag in tags:
        found[TAGS.fold(tag)].append(tag)
    return found
