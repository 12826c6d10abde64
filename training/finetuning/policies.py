"""Which parts of a CLIP are trained: the last stages of the image tower, and the text tower."""

from dataclasses import dataclass
from typing import Any, cast

from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm  # noqa: PLC2701  # no public base

from petsearch.domain.errors import ConfigurationError
from training.clip.towers import Stage, parameters_of, run_stages, stages_of
from training.finetuning.config import PolicyConfig

# The attributes of open_clip's CLIP that form the text tower; CustomTextCLIP has it in `text`.
_TEXT_PARTS = (
    "transformer",
    "token_embedding",
    "positional_embedding",
    "ln_final",
    "text_projection",
)


@dataclass(frozen=True)
class Policy:
    """A CLIP divided into frozen and trained parts."""

    prefix: tuple[Stage, ...]
    """Frozen stages of the image tower."""
    suffix: tuple[Stage, ...]
    """Trained stages of the image tower; the last is the projection."""
    text: tuple[nn.Parameter, ...]
    """Parameters of the text tower; empty if it is frozen."""
    logit_scale: nn.Parameter

    def run_prefix(self, images: Tensor) -> Tensor:
        """Map images, float `(n, 3, height, width)`, to the input of the trained stages."""
        return run_stages(self.prefix, images)

    def run_suffix(self, features: Tensor) -> Tensor:
        """Map the output of the frozen stages to image features `(n, dim)`."""
        return run_stages(self.suffix, features)


def apply_policy(model: nn.Module, config: PolicyConfig) -> Policy:
    """Freeze everything except what `config` selects, and set the mode of every module.

    Batch norms keep the statistics of the base model even where their weights are trained: small
    batches of a few thousand photos give worse ones.

    Raises:
        ConfigurationError: the image tower has fewer groups, or nothing would be trained.
    """
    clip = cast(Any, model)
    stages = stages_of(clip.visual)
    _check(config, stages)
    cut = len(stages) - config.image_groups
    model.eval().requires_grad_(requires_grad=False)
    policy = Policy(
        prefix=stages[:cut],
        suffix=stages[cut:],
        text=tuple(_text_parameters(model)) if config.train_text else (),
        logit_scale=clip.logit_scale,
    )
    for stage in policy.suffix:
        for module in stage.modules():
            module.training = not isinstance(module, _BatchNorm)
    trained = [parameter for stage in policy.suffix for parameter in stage.parameters()]
    for parameter in (*trained, *policy.text):
        parameter.requires_grad = True
    policy.logit_scale.requires_grad = config.train_logit_scale
    return policy


def _check(config: PolicyConfig, stages: tuple[Stage, ...]) -> None:
    if config.image_groups > len(stages) or config.image_groups < 0:
        names = ", ".join(stage.name for stage in stages)
        raise ConfigurationError(
            f"image_groups is {config.image_groups}; this image tower has {len(stages)}: {names}."
        )
    if not config.image_groups and not config.train_text:
        raise ConfigurationError("Nothing would be trained: image_groups is 0, train_text false.")


def _text_parameters(model: nn.Module) -> list[nn.Parameter]:
    tower = getattr(model, "text", None)
    if isinstance(tower, nn.Module):
        return list(tower.parameters())
    parts = (getattr(model, name) for name in _TEXT_PARTS)
    return parameters_of(part for part in parts if part is not None)
