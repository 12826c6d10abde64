"""Calibrations that were fitted on the photos of the catalogue that a model serves (ADR 54).

They are kept in the object store beside the published models, under a name of their own: what was
published with a model is never replaced by one, and counts where there are both.
"""

import json
from dataclasses import asdict, dataclass, field
from datetime import datetime

from petsearch.domain import ModelInfo, object_keys
from petsearch.domain.calibration import Calibration, read_calibration
from petsearch.domain.errors import NotFound
from petsearch.ports import ObjectStore
from petsearch.ports.store import StoredObject


@dataclass(frozen=True)
class CatalogueCalibrations:
    """Keeps them, and says which of them are new."""

    store: ObjectStore
    _read: dict[str, StoredObject] = field(default_factory=dict, init=False)
    """What `newer` has returned, by model."""

    def keep(self, model_id: str, calibration: Calibration) -> None:
        """Have embedders serve a model with a calibration, unless it came with one."""
        data = json.dumps(asdict(calibration)).encode()
        self.store.put(object_keys.catalogue_calibration(model_id), data)

    def find(self, model_id: str) -> Calibration | None:
        """The calibration of a model; None if there is none.

        Raises:
            ConfigurationError: what is stored is none.
        """
        try:
            return read_calibration(self.store.get(object_keys.catalogue_calibration(model_id)))
        except NotFound:
            return None

    def kept_at(self, model_id: str) -> datetime | None:
        """When the calibration of a model was kept; None if there is none."""
        found = self.store.find(object_keys.catalogue_calibration(model_id))
        return None if found is None else found.modified_at

    def newer(self, model: ModelInfo) -> Calibration | None:
        """The calibration for a model that came without one, where it does not have it.

        Raises:
            ConfigurationError: what is stored is none.
        """
        if has_its_own(model):
            return None
        stored = self.store.find(object_keys.catalogue_calibration(model.model_id))
        is_known = model.calibration is not None and stored == self._read.get(model.model_id)
        if stored is None or is_known:
            return None
        found = self.find(model.model_id)
        self._read[model.model_id] = stored
        return found


def has_its_own(model: ModelInfo) -> bool:
    """Whether a model came with a calibration."""
    return model.calibration is not None and not model.calibration.of_catalogue
