"""The configuration of training on drawings from scratch."""

from pathlib import Path
from typing import Literal

from pydantic.dataclasses import dataclass

from training.runs.config_file import STRICT, Amount, Count, CountOrZero, Seed, read_toml, validated

SAMPLE_CONFIG = Path(__file__).parents[1] / "configs" / "sample.toml"
"""The configuration of the bundled model."""


@dataclass(frozen=True, config=STRICT)
class ModelConfig:
    """The shape of a CLIP with open_clip's ModifiedResNet and text transformer."""

    image_size: Count
    embed_dim: Count
    vision_layers: tuple[Count, ...]
    vision_width: Count
    vision_head_width: Count
    text_width: Count
    text_heads: Count
    text_layers: Count
    context_length: Count


@dataclass(frozen=True, config=STRICT)
class DataConfig:
    """Drawings and off-topic texts to train on."""

    drawings: Count
    seed: Seed
    workers: Count
    """Number of processes that draw."""
    off_topic: tuple[str, ...]
    """Texts that describe no drawing."""
    off_topic_held_out: tuple[str, ...]
    """Off-topic texts for evaluation; none of their words is trained on."""


@dataclass(frozen=True, config=STRICT)
class OptimisationConfig:
    """Duration, learning rate and loss of training."""

    seed: Seed
    steps: Count
    batch_size: Count
    learning_rate: Amount
    warmup_steps: CountOrZero
    weight_decay: Amount
    background_texts: Count
    """Off-topic texts per step."""
    background_weight: Amount
    precision: Literal["fp32", "bf16"]
    """Of the image tower in training; bf16 is twice as fast on CPUs that support it."""


@dataclass(frozen=True, config=STRICT)
class EvaluationConfig:
    """The gallery of held-out drawings."""

    gallery: Count
    seed: Seed
    min_relevant: CountOrZero
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
