"""The configuration of a fine-tune on labelled photos."""

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator
from pydantic.dataclasses import dataclass

from training.drawings.config import DrawingsConfig
from training.runs.config_file import STRICT, Count, Share, Template, read_toml, validated


@dataclass(frozen=True, config=STRICT)
class PhotosConfig:
    """Which photos, and which of them are kept for validation."""

    data: str
    """A hub name, a local folder, or `sample` for drawings; `--data` replaces it."""
    split: str
    image_column: str
    """Empty for the first one that holds images."""
    label_column: str
    validation_share: Share
    """Of each class, 0..1, never trained on: what is chosen is chosen on these."""
    decoded_side: Count
    """Short side in pixels at which photos are kept, decoded once."""


@dataclass(frozen=True, config=STRICT)
class PolicyConfig:
    """What is trained."""

    image_groups: int
    """Last groups of the image tower; 1 is the projection alone."""
    train_text: bool
    train_logit_scale: bool
    image_size: int
    """Side in pixels of the images that the result sees; 0 keeps the base model's."""


@dataclass(frozen=True, config=STRICT)
class LossConfig:
    """What is minimised."""

    kind: Literal["cross_entropy", "contrastive", "both"]
    """Photos against all class prompts; photos and prompts of a batch against each other; or the
    first, and each class prompt against the photos of the batch."""
    label_smoothing: Share
    """0..1, of the cross-entropy."""
    species_weight: float
    """Of the cross-entropy over the species of the classes, where two or more are known; 0 leaves
    it out. A text tower that reads nothing but breeds forgets what "cat" means."""
    background_weight: float
    """Of the loss that holds off-topic texts away; 0 leaves it out."""
    background_texts: int
    """Off-topic texts a step."""
    off_topic: tuple[str, ...]
    """Texts that no photo shows, besides random words of the vocabulary."""
    off_topic_held_out: tuple[str, ...]
    """Of these no word is trained on: the AUC is measured with them."""
    on_topic_floor: float
    """Cosine that a photo and its text should exceed."""
    off_topic_ceiling: float
    """Cosine that a photo and an off-topic text should stay below."""


@dataclass(frozen=True, config=STRICT)
class AugmentationConfig:
    """How photos vary from epoch to epoch."""

    view_size: int
    """Side of views in pixels; 0 for the model's. Crops show pets larger than whole photos do, so
    a convolutional tower does better on photos a little larger than the views it was trained on
    (Touvron et al., "Fixing the train-test resolution discrepancy", 2019)."""
    views: int
    """Stored views of a photo, taken in turn; 0 draws a new one every epoch."""
    min_area: Share
    """Smallest crop, as a share of the photo's area, 0..1."""
    mirror: bool
    brightness: float
    """Largest change of brightness and contrast, 0..1."""
    saturation: float
    cache: Literal["none", "fp16", "fp32"]
    """Keep what the frozen stages give for each view on the disk; needs `views`."""

    @model_validator(mode="after")
    def _cache_needs_stored_views(self) -> Self:
        if self.cache != "none" and not self.views:
            raise ValueError("a cache needs stored views: set views to 1 or more")
        return self


@dataclass(frozen=True, config=STRICT)
class OptimisationConfig:
    """How long and how fast to train."""

    seed: int
    epochs: Count
    batch_size: Count
    accumulate: Count
    """Batches whose gradients make one step."""
    learning_rate: float
    """Of the last trained stage below the projection."""
    layer_decay: Share
    """Each stage further down learns this much slower, 0..1."""
    projection_learning_rate: float
    text_learning_rate: float
    warmup_share: Share
    """Of all steps, 0..1."""
    weight_decay: float
    clip_norm: float
    precision: Literal["fp32", "bf16", "amp"]
    """amp is fp16 with a scaled loss, for GPUs without bf16."""
    average_decay: Share
    """Of the running average of the weights, which is what is kept; 0 keeps the last."""
    patience: int
    """Epochs without a better validation before training stops."""
    checkpoint_steps: Count


@dataclass(frozen=True, config=STRICT)
class FinetuningConfig:
    """One fine-tune, from photos to model folder."""

    base: str
    """`hub:<arch>/<tag>`, `dir:<folder>` or `sample`; `--base` replaces it. Empty: it must."""
    templates: Annotated[tuple[Template, ...], Field(min_length=1)]
    """Prompt templates of class names, also those the result predicts breeds with."""
    photos: PhotosConfig
    policy: PolicyConfig
    loss: LossConfig
    augmentation: AugmentationConfig
    optimisation: OptimisationConfig
    interpolation: Annotated[tuple[Share, ...], Field(min_length=1)]
    """Shares of the fine-tuned weights that are tried (WiSE-FT), 0..1; (1.0,) tries none."""

    @model_validator(mode="after")
    def _background_loss_needs_a_trained_text_tower(self) -> Self:
        if self.loss.background_weight and not self.policy.train_text:
            raise ValueError("loss.background_weight needs policy.train_text = true")
        return self


def read_any_config(path: Path) -> DrawingsConfig | FinetuningConfig:
    """Read the configuration of a fine-tune on photos (it has a table `photos`) or on drawings.

    Raises:
        ConfigurationError: as `validated`.
    """
    tables = read_toml(path)
    if "photos" not in tables:
        return validated(DrawingsConfig, tables, path)
    return validated(FinetuningConfig, tables, path)
