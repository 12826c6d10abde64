"""A CLIP model as the other parts see it."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

from petsearch.domain.calibration import Calibration

Interpolation = Literal["bicubic", "bilinear"]


@dataclass(frozen=True)
class PixelSpec:
    """What pixels a model wants. Normalisation (mean, std) is the embedder's own business."""

    height: int
    width: int
    resize_mode: Literal["shortest", "longest", "squash"] = "shortest"
    interpolation: Interpolation = "bicubic"
    fill_color: int = 0


@dataclass(frozen=True)
class Label:
    """A breed the model can name, and the species it belongs to."""

    breed: str
    species: str


@dataclass(frozen=True)
class ModelInfo:
    """A loaded CLIP as the other parts see it."""

    model_id: str
    """Name and the first 12 hex digits of a SHA-256 over weights and config."""
    spec: str
    """How to load it again: `hub:ViT-B-32/openai`, `dir:<path>`, `sample`."""
    dim: int
    pixel_spec: PixelSpec
    logit_scale: float
    labels: tuple[Label, ...]
    prompt_templates: tuple[str, ...]
    """How a bare query becomes prompts; each holds one `{}`."""
    label_templates: tuple[str, ...]
    """How a breed's name becomes prompts when a photo's breed is predicted."""
    device: str = "cpu"
    precision: str = "fp32"
    calibration: Calibration | None = None
    """What its scores are worth, where that was fitted."""

    @property
    def is_sample(self) -> bool:
        """Whether this is the bundled demo model, which knows drawings only."""
        return self.spec == "sample"


@dataclass(frozen=True)
class ModelUsage:
    """What a loaded model has done and holds."""

    text_positions_needed: int = 0
    """Tokens of texts that were encoded, each up to its end of text."""
    text_positions_computed: int = 0
    """The same with padding: what the device worked on."""
    device_memory_bytes: int = 0
    """0 on the CPU."""


class Priority(StrEnum):
    """Who waits: a person (`query`) goes before bulk work (`ingest`)."""

    QUERY = "query"
    INGEST = "ingest"
