"""What is said of a model beside its weights: its names and templates, and its calibration."""

from dataclasses import dataclass, field, replace

from petsearch.domain import Label, ModelInfo, normalise_name
from petsearch.domain.calibration import Calibration, read_calibration, weights_hash_of
from petsearch.domain.errors import PetsearchError
from petsearch.domain.prompts import OXFORD_LABELS
from petsearch.models.folder import CALIBRATION, LABELS, LabelsFile, read_labels
from petsearch.models.registry import Manifest, PublishedFile, Registry
from petsearch.observability import get_logger
from petsearch.ports import Embedder

log = get_logger(__name__)

_Files = tuple[PublishedFile | None, PublishedFile | None]
"""labels.json and calibration.json, as far as they were published."""


@dataclass(frozen=True)
class Descriptions:
    """Reads how models are described where they are published: a model that serves follows it."""

    registry: Registry
    _followed: dict[str, tuple[_Files, ModelInfo]] = field(default_factory=dict, init=False)
    """By model: what was read last, and the description that came of it."""
    _unreadable: dict[str, str] = field(default_factory=dict, init=False)
    """By model: why the last look failed, which is logged once."""

    def of(self, model: ModelInfo) -> ModelInfo:
        """A model as it is published by now; as it is if it was not.

        Raises:
            ConfigurationError: what is published cannot be used.
        """
        manifest = self.registry.find(model.model_id)
        return model if manifest is None else self._read(manifest, model)

    def follow(self, embedder: Embedder) -> None:
        """Have the loaded models described as they are published by now."""
        for model in embedder.models():
            try:
                self._follow(model, embedder)
            except PetsearchError as error:
                if self._unreadable.get(model.model_id) != error.detail:
                    log.warning(
                        "what is published of a model cannot be read",
                        model_id=model.model_id,
                        reason=error.detail,
                    )
                self._unreadable[model.model_id] = error.detail
            else:
                self._unreadable.pop(model.model_id, None)

    def _follow(self, model: ModelInfo, embedder: Embedder) -> None:
        if (manifest := self.registry.find(model.model_id)) is None:
            return
        files = (manifest.files.get(LABELS), manifest.files.get(CALIBRATION))
        if self._followed.get(model.model_id) == (files, model):
            return
        if (found := self._read(manifest, model)) != model:
            embedder.describe(found)
        self._followed[model.model_id] = (files, found)

    def _read(self, manifest: Manifest, model: ModelInfo) -> ModelInfo:
        labels, calibration = (
            self.registry.read(manifest, name) if name in manifest.files else None
            for name in (LABELS, CALIBRATION)
        )
        return describe(model, labels, calibration)


def describe(model: ModelInfo, labels: bytes | None, calibration: bytes | None) -> ModelInfo:
    """A model with what the files beside its weights say.

    Args:
        labels: the content of labels.json; None if there is none, and the model names the breeds
            of Oxford-IIIT Pet.
        calibration: that of calibration.json; None leaves what was fitted on a catalogue.

    Raises:
        ConfigurationError: one of them is invalid.
    """
    file = LabelsFile() if labels is None else read_labels(labels)
    named = tuple(
        Label(normalise_name(label.breed), normalise_name(label.species)) for label in file.labels
    )
    fitted = None if calibration is None else _of_its_weights(calibration, model.model_id)
    if fitted is None and model.calibration is not None and model.calibration.of_catalogue:
        fitted = model.calibration
    return replace(
        model,
        labels=named or OXFORD_LABELS,
        prompt_templates=file.prompt_templates,
        label_templates=file.label_templates,
        species_templates=file.species_templates,
        calibration=fitted,
    )


def _of_its_weights(data: bytes, model_id: str) -> Calibration | None:
    """A calibration, unless it was fitted for other weights."""
    found = read_calibration(data)
    if found.weights != weights_hash_of(model_id):
        log.warning(
            "calibration.json belongs to other weights and is ignored; "
            "run training.calibration.calibrate again",
            model_id=model_id,
        )
        return None
    if not found.off_topic.can_tell:
        log.info(
            "the model was not measured to tell off-topic texts; no_good_match is null",
            measured=found.off_topic.measured,
        )
    return found
