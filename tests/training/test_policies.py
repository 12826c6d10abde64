"""What is trained: image towers in stages, open_clip's own groups, batch norms that stay."""

from typing import Any

import open_clip
import pytest
import torch
from open_clip.model import CLIP
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm  # noqa: PLC2701  # no public base

from petsearch.domain.errors import ConfigurationError
from training.clip.towers import run_stages, stages_of
from training.finetuning.config import PolicyConfig
from training.finetuning.policies import apply_policy

_TEXT = {"context_length": 16, "vocab_size": 60, "width": 16, "heads": 2, "layers": 1}
_VISION: dict[str, dict[str, Any]] = {
    "vit": {"layers": 4, "width": 32, "head_width": 16, "patch_size": 16, "image_size": 32},
    "rn": {"layers": [1, 1, 1, 1], "width": 8, "head_width": 32, "image_size": 32},
    "mobilenet": {"timm_model_name": "mobilenetv2_035"},
    "resnet": {"timm_model_name": "test_resnet"},
    "convnext": {"timm_model_name": "test_convnext"},
    "timm vit": {"timm_model_name": "test_vit"},
    "timm vit with pooling by attention": {"timm_model_name": "test_vit3", "timm_pool": "map"},
}
_TIMM = {"timm_model_pretrained": False, "timm_pool": "avg", "timm_proj": "linear"}


def _clip(name: str) -> nn.Module:
    torch.manual_seed(0)
    vision = _VISION[name]
    if "timm_model_name" in vision:
        vision = {"image_size": 160 if "vit" in name else 64} | _TIMM | vision
    module: nn.Module = CLIP(embed_dim=24, vision_cfg=vision, text_cfg=_TEXT)
    return module.eval()


def _policy(groups: int, *, text: bool = False) -> PolicyConfig:
    return PolicyConfig(image_groups=groups, train_text=text, train_logit_scale=False, image_size=0)


def _trained(module: nn.Module) -> set[str]:
    return {name for name, parameter in module.named_parameters() if parameter.requires_grad}


@pytest.mark.parametrize("name", _VISION)
def test_the_stages_run_in_order_are_the_tower(name: str) -> None:
    visual: Any = _clip(name).visual
    size = visual.image_size
    height, width = size if isinstance(size, tuple) else (size, size)
    images = torch.randn(2, 3, height, width)
    with torch.no_grad():
        torch.testing.assert_close(run_stages(stages_of(visual), images), visual(images))


@pytest.mark.parametrize("name", _VISION)
def test_every_parameter_of_the_tower_belongs_to_one_stage(name: str) -> None:
    visual: Any = _clip(name).visual
    owned = [parameter for stage in stages_of(visual) for parameter in stage.parameters()]
    assert len(set(owned)) == len(owned)
    assert set(owned) == set(visual.parameters())


@pytest.mark.parametrize("groups", [1, 2, 3, 5])
def test_a_vit_is_unlocked_as_open_clip_unlocks_it(groups: int) -> None:
    ours, theirs = _clip("vit"), _clip("vit")
    apply_policy(ours, _policy(groups))
    locked: Any = theirs
    locked.lock_image_tower(unlocked_groups=groups)
    in_tower = {name for name in _trained(theirs) if name.startswith("visual.")}
    assert _trained(ours) == in_tower
    assert in_tower


def test_the_ancestor_trains_two_blocks_and_the_projection_of_vit_b_32() -> None:
    with torch.device("meta"):
        model = CLIP(**open_clip.get_model_config("ViT-B-32"))
        names = [stage.name for stage in stages_of(model.visual)]
    assert names[-3:] == ["block 10", "block 11", "projection"]
    assert len(names) == 14


def test_the_text_tower_is_trained_when_asked_and_batch_norms_keep_their_statistics() -> None:
    model = _clip("mobilenet")
    policy = apply_policy(model, _policy(3, text=True))
    assert "token_embedding.weight" in _trained(model)
    assert not any(name.startswith("visual.trunk.blocks.5") for name in _trained(model))
    norms = [m for m in model.modules() if isinstance(m, _BatchNorm)]
    before = [norm.running_mean.clone() for norm in norms if norm.running_mean is not None]
    torch.autograd.backward(policy.run_suffix(policy.run_prefix(torch.randn(2, 3, 64, 64))).sum())
    after = [norm.running_mean for norm in norms if norm.running_mean is not None]
    assert all(torch.equal(a, b) for a, b in zip(before, after, strict=True))
    assert any(norm.weight.grad is not None for norm in norms)


@pytest.mark.parametrize("groups", [0, -1, 99])
def test_a_policy_that_cannot_be_is_refused(groups: int) -> None:
    with pytest.raises(ConfigurationError, match="image_groups"):
        apply_policy(_clip("vit"), _policy(groups))


def test_an_unknown_tower_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="cannot be trained"):
        stages_of(nn.Linear(3, 3))
