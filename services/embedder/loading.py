"""Loads the model while the service runs already, again and again until it is there."""

import threading
from collections.abc import Callable
from typing import Self

from petsearch.domain.errors import PetsearchError, Unavailable
from petsearch.observability import get_logger
from services.embedder.parts import Parts

log = get_logger(__name__)

_FIRST_PAUSE_S = 2.0
_LONGEST_PAUSE_S = 60.0


class Loading:
    """What the routes depend on, once it is loaded.

    Args:
        load: returns it; raises an error of ours for what may be better later.
        progress: what the first try does meanwhile, in words.
    """

    def __init__(
        self,
        load: Callable[[], Parts],
        progress: Callable[[], str] = lambda: "The model is being loaded.",
    ) -> None:
        self._load = load
        self._progress = progress
        self._failure = ""
        self._retry_after_s = _FIRST_PAUSE_S
        self._stopping = threading.Event()
        self.loaded: Parts | None = None

    @classmethod
    def done(cls, parts: Parts) -> Self:
        """What is loaded already."""
        loading = cls(lambda: parts)
        loading.loaded = parts
        return loading

    def parts(self) -> Parts:
        """What was loaded.

        Raises:
            Unavailable: it is not there yet; the message says why.
        """
        if self.loaded is None:
            raise Unavailable(self._failure or self._progress(), retry_after_s=self._retry_after_s)
        return self.loaded

    def start(self) -> None:
        """Begin to load, in a thread that ends with the process."""
        threading.Thread(target=self._run, name="loading", daemon=True).start()

    def stop(self) -> None:
        """Try no more."""
        self._stopping.set()

    def _run(self) -> None:
        pause_s = _FIRST_PAUSE_S
        while not self._stopping.is_set():
            if self._try(pause_s):
                return
            self._stopping.wait(pause_s)
            self._failure = ""
            pause_s = min(pause_s * 2, _LONGEST_PAUSE_S)

    def _try(self, pause_s: float) -> bool:
        """Whether it is loaded now; if not, says so in one line."""
        try:
            self.loaded = self._load()
        except PetsearchError as error:
            reason = error.detail
            log.warning("the model is not loaded", reason=reason, next_try_s=pause_s)
        except Exception as error:  # the thread's edge: the next try may be luckier
            reason = f"{type(error).__name__}: {error}"
            log.exception("the model is not loaded", next_try_s=pause_s)
        else:
            log.info("the model is loaded")
            return True
        self._failure = f"The model is not loaded. {reason} Trying again in {pause_s:g} s."
        self._retry_after_s = pause_s
        return False
