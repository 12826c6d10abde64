"""The job that calibrates the current model, where nobody did, and predicts everything again.

Its source fits the calibration before it gives the first image: whoever reads a source has a lease,
and after an interruption another worker reads it again.
"""

import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from petsearch.domain import ImageMetadata, JobKind, NewJob
from petsearch.domain.errors import ConfigurationError, NotFound, SourceUnavailable
from petsearch.jobs import Dispatcher
from petsearch.maintenance.first_calibration import FirstCalibration
from petsearch.maintenance.predictions import NOT_SERVED, item_origin
from petsearch.models import Target, has_its_own
from petsearch.ports import JobLedger
from petsearch.ports.index import walk_ids
from petsearch.sources import SourceItem

_LOOKS_AGAIN_S = 60.0
_PATIENCE = timedelta(minutes=5)
"""Embedders look for a calibration every few seconds."""


class CalibrationSpec(BaseModel):
    """What is kept of the job with the job."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    type: Literal["calibration"] = "calibration"


def is_calibration(spec: str | None) -> bool:
    """Whether a job with this specification is one that calibrates."""
    try:
        CalibrationSpec.model_validate_json(spec or "")
    except ValidationError:
        return False
    return True


@dataclass(frozen=True)
class CalibrationSource:
    """Every image of the current collection; the cursor is the id of the last one."""

    first: FirstCalibration
    clock: Callable[[], datetime]

    def count(self) -> int | None:
        """See `Source.count`."""
        return None

    def read(self, cursor: str | None) -> Iterator[SourceItem]:
        """See `Source.read`. Where guesses are not calibrated, there is nothing to predict again.

        Raises:
            SourceUnavailable: the embedder has not read the calibration yet.
            ConfigurationError: it does not read it at all.
        """
        if cursor is None:
            self.first.make()
        target = self._served()
        if target.model.guesses is None:
            return
        for image_id in walk_ids(self.first.index, target.collection, cursor):
            yield SourceItem(ImageMetadata(), image_id, origin=item_origin(image_id, target.model))

    def _served(self) -> Target:
        """The current model, with the calibration that is kept of it."""
        target = self.first.catalogue.current()
        kept = self.first.kept.find(target.model.model_id)
        if kept is None or has_its_own(target.model) or target.model.calibration == kept:
            return target
        kept_at = self.first.kept.kept_at(target.model.model_id)
        if kept_at is not None and self.clock() - kept_at > _PATIENCE:
            raise ConfigurationError(
                "The embedder does not read the calibration in the object store. Give it "
                "PETSEARCH_STORE_URL, and then run petsearch reconcile --predictions."
            )
        raise SourceUnavailable(NOT_SERVED)


@dataclass(kw_only=True)
class CalibrationStarter:
    """Opens the job where it is due; called again and again."""

    first: FirstCalibration
    ledger: JobLedger
    dispatcher: Dispatcher
    now: Callable[[], datetime]
    clock: Callable[[], float] = time.monotonic
    _looked_at: float | None = field(default=None, init=False)
    _opened: set[tuple[str, bool]] = field(default_factory=set, init=False)
    """For which model, and whether it was calibrated in part: once is enough if nothing comes of
    it."""

    def __call__(self) -> None:
        """Look, at most once a minute."""
        if self._looked_at is not None and self.clock() - self._looked_at < _LOOKS_AGAIN_S:
            return
        self._looked_at = self.clock()
        model = self.first.catalogue.current().model
        state = (model.model_id, model.calibration is not None)
        if state in self._opened or not self.first.is_due() or self._is_open():
            return
        job_id = uuid.uuid4().hex
        self.ledger.create(
            NewJob(
                job_id=job_id,
                source=f"calibration of {model.model_id}",
                created_at=self.now(),
                spec=CalibrationSpec().model_dump_json(),
                kind=JobKind.PREDICTIONS,
            )
        )
        self.dispatcher.dispatch(job_id)
        self._opened.add(state)

    def _is_open(self) -> bool:
        for job_id in self.ledger.active():
            with suppress(NotFound):  # forgotten just now
                if is_calibration(self.ledger.spec(job_id)):
                    return True
        return False
