"""The configuration of a fine-tune on photos: TOML read into frozen dataclasses."""

from dataclasses import dataclass
from typing import Literal

from petsearch.domain.errors import ConfigurationError


@dataclass(frozen=True)
class PhotosConfig:
    """Which photos, and which of them are kept for validation."""

    data: str
    """A hub name, a local folder, or `sample` for drawings; `--data` replaces it."""
    split: str
    image_column: str
    """Empty for the first one that holds images."""
    label_column: str
    validation_share: float
    """Of each class, 0..1, never trained on: what is chosen is chosen on these."""
    decoded_side: int
    """Short side in pixels at which photos are kept, decoded once."""


@dataclass(frozen=True)
class PolicyConfig:
    """What is trained."""

    image_groups: int
    """Last groups of the image tower; 1 is the projection alone."""
    train_text: bool
    train_logit_scale: bool
    image_size: int
    """Side in pixels of the images that the result sees; 0 keeps the base model's."""


@dataclass(frozen=True)
class LossConfig:
    """What is minimised."""

    kind: Literal["cross_entropy", "contrastive", "both"]
    """Photos against all class prompts; photos and prompts of a batch against each other; or the
    first, and each class prompt against the photos of the batch."""
    label_smoothing: float
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


@dataclass(frozen=True)
class AugmentationConfig:
    """How photos vary from epoch to epoch."""

    view_size: int
    """Side of views in pixels; 0 for the model's. Crops show pets larger than whole photos do, so
    a convolutional tower does better on photos a little larger than the views it was trained on
    (Touvron et al., "Fixing the train-test resolution discrepancy", 2019)."""
    views: int
    """Stored views of a photo, taken in turn; 0 draws a new one every epoch."""
    min_area: float
    """Smallest crop, as a share of the photo's area, 0..1."""
    mirror: bool
    brightness: float
    """Largest change of brightness and contrast, 0..1."""
    saturation: float
    cache: Literal["none", "fp16", "fp32"]
    """Keep what the frozen stages give for each view on the disk; needs `views`."""


@dataclass(frozen=True)
class PhotoOptimisationConfig:
    """How long and how fast to train."""

    seed: int
    epochs: int
    batch_size: int
    accumulate: int
    """Batches whose gradients make one step."""
    learning_rate: float
    """Of the last trained stage below the projection."""
    layer_decay: float
    """Each stage further down learns this much slower, 0..1."""
    projection_learning_rate: float
    text_learning_rate: float
    warmup_share: float
    """Of all steps, 0..1."""
    weight_decay: float
    clip_norm: float
    precision: Literal["fp32", "bf16", "amp"]
    """amp is fp16 with a scaled loss, for GPUs without bf16."""
    average_decay: float
    """Of the running average of the weights, which is what is kept; 0 keeps the last."""
    patience: int
    """Epochs without a better validation before training stops."""
    checkpoint_steps: int


@dataclass(frozen=True)
class PhotoTrainingConfig:
    """One fine-tune, from photos to model folder."""

    base: str
    """`hub:<arch>/<tag>`, `dir:<folder>` or `sample`; `--base` replaces it. Empty: it must."""
    templates: tuple[str, ...]
    """Prompt templates of class names, also those the result predicts breeds with."""
    photos: PhotosConfig
    policy: PolicyConfig
    loss: LossConfig
    augmentation: AugmentationConfig
    optimisation: PhotoOptimisationConfig
    interpolation: tuple[float, ...]
    """Shares of the fine-tuned weights that are tried (WiSE-FT), 0..1; (1.0,) tries none."""


def check_photo_config(config: PhotoTrainingConfig) -> None:
    """Hold values to their ranges.

    Raises:
        ConfigurationError: one is outside.
    """
    optimisation, augmentation, loss = config.optimisation, config.augmentation, config.loss
    for name, value in (
        ("validation_share", config.photos.validation_share),
        ("min_area", augmentation.min_area),
        ("layer_decay", optimisation.layer_decay),
        ("warmup_share", optimisation.warmup_share),
        ("average_decay", optimisation.average_decay),
        ("label_smoothing", loss.label_smoothing),
        *(("interpolation", share) for share in config.interpolation),
    ):
        if not 0 <= value <= 1:
            raise ConfigurationError(f"{name} is {value}; it must lie between 0 and 1.")
    for name, count in (
        ("epochs", optimisation.epochs),
        ("batch_size", optimisation.batch_size),
        ("accumulate", optimisation.accumulate),
        ("checkpoint_steps", optimisation.checkpoint_steps),
        ("decoded_side", config.photos.decoded_side),
        ("the number of templates", len(config.templates)),
        ("the number of shares in interpolation", len(config.interpolation)),
    ):
        if count < 1:
            raise ConfigurationError(f"{name} is {count}; it must be at least 1.")
    if any("{}" not in template for template in config.templates):
        raise ConfigurationError("Each of templates must hold {} where the class name goes.")
    if augmentation.cache != "none" and not augmentation.views:
        raise ConfigurationError("A cache needs stored views: set views to 1 or more.")
    if loss.background_weight and not config.policy.train_text:
        raise ConfigurationError("background_weight needs train_text: off-topic texts must move.")
