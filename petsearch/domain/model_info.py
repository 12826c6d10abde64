"""The description of a CLIP model."""

import hashlib
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

from petsearch.domain.calibration import Calibration, Guesses

Interpolation = Literal["bicubic", "bilinear"]
Precision = Literal["fp32", "bf16", "fp16"]


@dataclass(frozen=True)
class PixelSpec:
    """The pixels that a model takes. The embedder normalises them (mean, std)."""

    height: int
    width: int
    resize_mode: Literal["shortest", "longest", "squash"] = "shortest"
    interpolation: Interpolation = "bicubic"
    fill_color: int = 0


@dataclass(frozen=True)
class Label:
    """A breed that the model predicts, and its species."""

    breed: str
    species: str


@dataclass(frozen=True)
class ModelInfo:
    """The description of a loaded CLIP model."""

    model_id: str
    """Name and the first 12 hex digits of a SHA-256 over weights and config."""
    spec: str
    """How to load the model: `hub:ViT-B-32/laion2b_s34b_b79k`, `dir:<path>`, `sample`."""
    dim: int
    pixel_spec: PixelSpec
    logit_scale: float
    labels: tuple[Label, ...]
    prompt_templates: tuple[str, ...]
    """They turn a query into prompts; each holds one `{}`."""
    label_templates: tuple[str, ...]
    """They turn names of breeds into prompts when the breed of a photo is predicted."""
    species_templates: tuple[str, ...] = ("a photo of a {}",)
    """They turn names of species into prompts when the species of a photo is predicted."""
    context_length: int = 77
    """Tokens of a text that the model reads, with the marks of its start and end."""
    is_english_only: bool = True
    """It was trained on texts in English; others mean little to it."""
    device: str = "cpu"
    precision: Precision = "fp32"
    calibration: Calibration | None = None
    """None if the model is not calibrated."""

    @property
    def species(self) -> tuple[str, ...]:
        """The species that it tells apart, sorted."""
        return tuple(sorted({label.species for label in self.labels}))

    @property
    def guesses(self) -> Guesses | None:
        """The calibration of species and breeds; None if there is none, or nothing to tell."""
        return self.calibration.guesses if self.calibration and len(self.species) > 1 else None

    @property
    def predictions_id(self) -> str:
        """Names the model and the calibration that predictions come from."""
        if self.guesses is None:
            return self.model_id
        return f"{self.model_id}+{hashlib.sha256(repr(self.guesses).encode()).hexdigest()[:8]}"

    @property
    def is_sample(self) -> bool:
        """Whether this is the bundled demo model, which was trained on drawings only."""
        return self.spec == "sample"


@dataclass(frozen=True)
class ModelUsage:
    """Counters of a loaded model."""

    text_positions_needed: int = 0
    """Tokens of the encoded texts, without padding."""
    text_positions_computed: int = 0
    """The same with padding, as the device computed them."""
    device_memory_bytes: int = 0
    """0 on the CPU."""


class Priority(StrEnum):
    """A `query`, for which a person waits, goes before `ingest`."""

    QUERY = "query"
    INGEST = "ingest"
