"""Loads and unloads models by itself, as the document in the object store says."""

import threading
import time
from collections.abc import Callable

from petsearch.domain.errors import ConfigurationError, PetsearchError
from petsearch.embedding import BatchingEmbedder
from petsearch.embedding.embedder import MAX_MODELS
from petsearch.models import (
    CatalogueCalibrations,
    Descriptions,
    Registry,
    ServedModel,
    Serving,
    read_serving,
)
from petsearch.observability import get_logger
from petsearch.ports import ClipModel, ObjectStore

log = get_logger(__name__)

LOOK_EVERY_S = 2.0
_TRY_AGAIN_S = 30.0
"""After a model could not be loaded."""
_CLOSE_S = 5.0
"""The event loop stands still meanwhile."""

LoadServed = Callable[[ServedModel], ClipModel]


class ModelWatch:
    """Has an embedder serve what `petsearch.models.Serving` names.

    While the document cannot be read, what was named last is served.

    Args:
        load: loads a model; raises a `PetsearchError` if it cannot be had.
        clock: seconds, monotonic.
    """

    def __init__(
        self,
        embedder: BatchingEmbedder,
        store: ObjectStore,
        load: LoadServed,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._embedder = embedder
        self._store = store
        self._load = load
        self._descriptions = Descriptions(Registry(store))
        self._calibrations = CatalogueCalibrations(store)
        self._clock = clock
        self._serving = Serving(models=())
        self._failed: dict[ServedModel, tuple[str, float]] = {}
        """Why a model could not be loaded, and when."""
        self._is_readable = True
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="models", daemon=True)

    @property
    def failed(self) -> dict[str, str]:
        """Why models cannot be loaded, by their address."""
        return {wanted.spec: reason for wanted, (reason, _) in tuple(self._failed.items())}

    @property
    def reason(self) -> str | None:
        """Why the model that is searched with is not served; None if it is."""
        wanted = next(iter(self._serving.models), None)
        if wanted is None or self._is_served(wanted):
            return None
        why = self.failed.get(wanted.spec, "It is being loaded.")
        return f"The model {wanted.model_id!r}, which is searched with, is not served here. {why}"

    def start(self) -> None:
        """Look every few seconds, from now on."""
        self._thread.start()

    def close(self) -> None:
        """Look no more; a model that is being loaded is waited for, but not for long."""
        self._closing.set()
        if self._thread.is_alive():
            self._thread.join(timeout=_CLOSE_S)

    def look(self) -> None:
        """Serve what is needed, as it is described and calibrated by now."""
        self._look_for_models()
        self._descriptions.follow(self._embedder)
        self._look_for_calibrations()

    def _look_for_calibrations(self) -> None:
        for model in self._embedder.models():
            try:
                found = self._calibrations.newer(model)
            except PetsearchError as error:
                log.warning("a calibration cannot be read", reason=error.detail)
                return
            if found is not None:
                self._embedder.calibrate(model.model_id, found)
                log.info("calibrated with photos of the catalogue", model_id=model.model_id)

    def _look_for_models(self) -> None:
        """Read which models are needed, load those that are missing and unload the others."""
        try:
            serving = read_serving(self._store)
        except PetsearchError as error:
            if self._is_readable:
                log.warning("which models are needed is not known", reason=error.detail)
            self._is_readable = False
            return
        self._is_readable = True
        if serving is None:
            return
        self._serving = serving
        self._failed = {one: why for one, why in self._failed.items() if one in serving.models}
        for wanted in serving.models:
            if self._closing.is_set():
                return
            if not self._is_served(wanted) and not self._has_just_failed(wanted):
                self._make_room()
                self._take(wanted)
        if any(self._is_served(wanted) for wanted in serving.models):
            for model_id in self._unneeded():
                self._embedder.unload(model_id)

    def _watch(self) -> None:
        while True:
            try:
                self.look()
            except Exception:  # a thread's edge: the next look may do
                log.exception("looking for models failed")
            if self._closing.wait(LOOK_EVERY_S):
                return

    def _take(self, wanted: ServedModel) -> None:
        try:
            model = self._load(wanted)
            _check_is(model, wanted)
            self._embedder.put(model)
        except Exception as error:  # of any library: the reason is told, the others are served
            reason = error.detail if isinstance(error, PetsearchError) else repr(error)
            self._failed[wanted] = (reason, self._clock())
            log.error("a model cannot be loaded", spec=wanted.spec, reason=reason)
            return
        self._failed.pop(wanted, None)

    def _has_just_failed(self, wanted: ServedModel) -> bool:
        return wanted in self._failed and self._clock() - self._failed[wanted][1] < _TRY_AGAIN_S

    def _is_served(self, wanted: ServedModel) -> bool:
        here = {model.model_id: model.precision for model in self._embedder.models()}
        return wanted.model_id in here and wanted.precision in (None, here[wanted.model_id])

    def _unneeded(self) -> list[str]:
        needed = {wanted.model_id for wanted in self._serving.models}
        return [m.model_id for m in self._embedder.models() if m.model_id not in needed]

    def _make_room(self) -> None:
        if len(self._embedder.models()) >= MAX_MODELS and (unneeded := self._unneeded()):
            self._embedder.unload(unneeded[0])


def _check_is(model: ClipModel, wanted: ServedModel) -> None:
    """Check that what was loaded is what is needed.

    Raises:
        ConfigurationError: it is not.
    """
    found = model.info
    if found.model_id != wanted.model_id:
        raise ConfigurationError(
            f"{wanted.spec} is the model {found.model_id!r} here, and not {wanted.model_id!r}."
        )
    if wanted.precision not in (None, found.precision):
        raise ConfigurationError(
            f"The model is served in {wanted.precision}, but this embedder can only run it in "
            f"{found.precision}."
        )
