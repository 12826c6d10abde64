"""The configuration of training on drawings from scratch."""

from pathlib import Path
from typing import Literal

from pydantic.dataclasses import dataclass

from training.runs.config_file import STRICT, read_toml, validated

SAMPLE_CONFIG = Path(__file__).parents[1] / "configs" / "sample.toml"
"""The configuration of the bundled model."""


@dataclass(frozen=True, config=STRICT)
class ModelConfig:
    """The shape of a CLIP with open_clip's ModifiedResNet and text transformer."""

    image_size: int
    embed_dim: int
    vision_layers: tuple[int, ...]
    vision_width: int
    vision_head_width: int
    text_width: int
    text_heads: int
    text_layers: int
    context_length: int


@dataclass(frozen=True, config=STRICT)
class DataConfig:
    """Drawings and off-topic texts to train on."""

    drawings: int
    seed: int
    workers: int
    """Number of processes that draw."""
    off_topic: tuple[str, ...]
    """Texts that describe no drawing."""
    off_topic_held_out: tuple[str, ...]
    """Off-topic texts for evaluation; none of their words is trained on."""


@dataclass(frozen=True, config=STRICT)
class OptimisationConfig:
    """Duration, learning rate and loss of training."""

    seed: int
    steps: int
    batch_size: int
    learning_rate: float
    warmup_steps: int
    weight_decay: float
    background_texts: int
    """Off-topic texts per step."""
    background_weight: float
    precision: Literal["fp32", "bf16"]
    """Of the image tower in training; bf16 is twice as fast on CPUs that support it."""


@dataclass(frozen=True, config=STRICT)
class EvaluationConfig:
    """The gallery of held-out drawings."""

    gallery: int
    seed: int
    min_relevant: int
    """Drawings are added until each attribute query has this many relevant ones."""


@dataclass(frozen=True, config=STRICT)
class DrawingsConfig:
    """One run of training from scratch, from data to evaluation."""

    model: ModelConfig
    data: DataConfig
    optimisation: OptimisationConfig
    evaluation: EvaluationConfig


def read_config(path: Path) -> DrawingsConfig:
    """Read the configuration of a run on drawings.

    Raises:
        ConfigurationError: as `validated`.
    """
    return validated(DrawingsConfig, read_toml(path), path)
