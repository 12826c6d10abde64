"""The configuration of a fine-tune on labelled photos."""

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator
from pydantic.dataclasses import dataclass

from training.drawings.config import DrawingsConfig
from training.runs.config_file import (
    STRICT,
    Amount,
    Count,
    CountOrZero,
    Seed,
    Share,
    Template,
    read_toml,
    validated,
)


@dataclass(frozen=True, config=STRICT)
class PhotosConfig:
    """The photos, and the share that is kept for validation."""

    data: str
    """A hub name, a local folder, or `sample` for drawings; `--data` overrides it."""
    split: str
    image_column: str
    """Empty for the first column that holds images."""
    label_column: str
    validation_share: Share
    """Share of each class that is never trained on; everything is selected on these photos."""
    decoded_side: Count
    """Maximum short side in pixels of the decoded photos that are stored."""


@dataclass(frozen=True, config=STRICT)
class PolicyConfig:
    """Which parts of the model are trained."""

    image_groups: int
    """Number of trained stages at the end of the image tower; 1 is only the projection."""
    train_text: bool
    train_logit_scale: bool
    image_size: CountOrZero
    """Side of the images of the result in pixels; 0 keeps the base model's."""


@dataclass(frozen=True, config=STRICT)
class LossConfig:
    """The loss, and the weights of its terms."""

    kind: Literal["cross_entropy", "contrastive", "both"]
    """`cross_entropy`: photos against all class prompts. `contrastive`: photos and prompts of a
    batch against each other. `both`: the first, and each class prompt against the photos of the
    batch."""
    label_smoothing: Share
    """Of the cross-entropy."""
    species_weight: Amount
    """Weight of the cross-entropy over the species of the classes, if there are at least two; 0
    disables it. A text tower trained only on breeds forgets what "cat" means."""
    background_weight: Amount
    """Weight of the loss that pushes off-topic texts away from photos; 0 disables it."""
    background_texts: CountOrZero
    """Off-topic texts per step."""
    off_topic: tuple[str, ...]
    """Off-topic texts in addition to random words of the vocabulary."""
    off_topic_held_out: tuple[str, ...]
    """Off-topic texts for evaluation; none of their words is trained on."""
    on_topic_floor: float
    """Cosine that a photo and its text should exceed."""
    off_topic_ceiling: float
    """Cosine that a photo and an off-topic text should stay below."""

    @model_validator(mode="after")
    def _background_loss_needs_texts(self) -> Self:
        if self.background_weight and not self.background_texts:
            raise ValueError("background_weight needs texts: set background_texts to 1 or more")
        return self


@dataclass(frozen=True, config=STRICT)
class AugmentationConfig:
    """How views of a photo vary."""

    view_size: CountOrZero
    """Side of views in pixels; 0 for the model's. Pets are larger in crops than in whole photos, so
    a convolutional tower works better on photos slightly larger than its training views (Touvron et
    al., "Fixing the train-test resolution discrepancy", 2019)."""
    views: CountOrZero
    """Number of stored views per photo, used in turn; 0 draws a new one in every epoch."""
    min_area: Share
    """Smallest crop as a share of the photo's area."""
    mirror: bool
    brightness: Share
    """Largest relative change of brightness and of contrast."""
    saturation: Share
    cache: Literal["none", "fp16", "fp32"]
    """Store the output of the frozen stages for each view on disk; needs `views`."""

    @model_validator(mode="after")
    def _cache_needs_stored_views(self) -> Self:
        if self.cache != "none" and not self.views:
            raise ValueError("a cache needs stored views: set views to 1 or more")
        return self


@dataclass(frozen=True, config=STRICT)
class OptimisationConfig:
    """Duration, learning rates and precision of training."""

    seed: Seed
    epochs: Count
    batch_size: Count
    accumulate: Count
    """Number of batches whose gradients form one step."""
    learning_rate: Amount
    """Of the last stage below the projection."""
    layer_decay: Share
    """Factor of the learning rate for each stage further down."""
    projection_learning_rate: Amount
    text_learning_rate: Amount
    warmup_share: Share
    """Of all steps."""
    weight_decay: Amount
    clip_norm: Annotated[Amount, Field(gt=0)]
    """Largest norm of a step's gradients; larger ones are scaled down to it."""
    precision: Literal["fp32", "bf16", "amp"]
    """`amp` is fp16 with a scaled loss, for GPUs without bf16."""
    average_decay: Share
    """Of the running average of the weights, which is validated and kept; 0 keeps the last."""
    patience: Count
    """Epochs without an improvement in validation before training stops."""
    checkpoint_steps: Count


@dataclass(frozen=True, config=STRICT)
class FinetuningConfig:
    """One fine-tune, from photos to model folder."""

    base: str
    """`hub:<arch>/<tag>`, `dir:<folder>` or `sample`; `--base` overrides it, and is required if it
    is empty."""
    templates: Annotated[tuple[Template, ...], Field(min_length=1)]
    """Prompt templates of class names, in training and for breed prediction by the result."""
    photos: PhotosConfig
    policy: PolicyConfig
    loss: LossConfig
    augmentation: AugmentationConfig
    optimisation: OptimisationConfig
    interpolation: Annotated[tuple[Share, ...], Field(min_length=1)]
    """Shares of the fine-tuned weights to try (WiSE-FT); (1.0,) tries none."""

    @model_validator(mode="after")
    def _background_loss_needs_a_trained_text_tower(self) -> Self:
        if self.loss.background_weight and not self.policy.train_text:
            raise ValueError("loss.background_weight needs policy.train_text = true")
        return self


def read_any_config(path: Path) -> DrawingsConfig | FinetuningConfig:
    """Read the configuration of a fine-tune on photos (it has `base`) or on drawings.

    Raises:
        ConfigurationError: as `validated`.
    """
    tables = read_toml(path)
    if not {"base", "photos"} & tables.keys():
        return validated(DrawingsConfig, tables, path)
    return validated(FinetuningConfig, tables, path)
