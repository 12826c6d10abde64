"""An image tower as consecutive stages, so that it can be divided between any two."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import chain
from typing import Any

from open_clip.modified_resnet import ModifiedResNet
from open_clip.timm_model import TimmModel
from open_clip.transformer import VisionTransformer
from timm.models.convnext import ConvNeXt
from timm.models.efficientnet import EfficientNet
from timm.models.resnet import ResNet
from timm.models.vision_transformer import VisionTransformer as TimmVisionTransformer
from torch import Tensor, nn

from petsearch.domain.errors import ConfigurationError


@dataclass(frozen=True)
class Stage:
    """A stage of an image tower."""

    name: str
    parts: tuple[nn.Module | nn.Parameter, ...]
    """The modules and parameters that belong to it."""
    run: Callable[[Tensor], Tensor]

    def parameters(self) -> list[nn.Parameter]:
        """Its parameters."""
        return parameters_of(self.parts)

    def modules(self) -> list[nn.Module]:
        """Its modules and their submodules."""
        return [
            inner for part in self.parts if isinstance(part, nn.Module) for inner in part.modules()
        ]


def parameters_of(parts: Iterable[nn.Module | nn.Parameter]) -> list[nn.Parameter]:
    """The parameters among `parts` and in their modules."""
    held = ([p] if isinstance(p, nn.Parameter) else p.parameters() for p in parts)
    return list(chain.from_iterable(held))


def stages_of(visual: nn.Module) -> tuple[Stage, ...]:
    """The stages of an image tower, from pixels to features; the last is the projection.

    Run in order, they compute the output of the tower. For open_clip's vision transformer they are
    the groups of its `lock(unlocked_groups)`: one per block, the last with its norm.

    Raises:
        ConfigurationError: the type of tower is not supported.
    """
    if isinstance(visual, VisionTransformer) and visual.proj is not None:
        return _vision_transformer(visual)
    if isinstance(visual, ModifiedResNet):
        return _modified_resnet(visual)
    if isinstance(visual, TimmModel):
        return (*_trunk(visual.trunk), _stage("projection", visual.head))
    raise ConfigurationError(
        f"The image tower {type(visual).__name__} cannot be trained. Use one of open_clip's ViT or "
        "RN models, or one based on timm's ViT, ResNet, ConvNeXt, EfficientNet or MobileNetV2."
    )


def run_stages(stages: tuple[Stage, ...], images: Tensor) -> Tensor:
    """Run consecutive stages; returns the output of the last."""
    for stage in stages:
        images = stage.run(images)
    return images


def _stage(name: str, module: nn.Module) -> Stage:
    return Stage(name, (module,), module)


def _vision_transformer(visual: Any) -> tuple[Stage, ...]:
    if not visual.transformer.batch_first:
        raise ConfigurationError("A ViT with batch_first = False cannot be trained.")
    embedding = (visual.conv1, visual.class_embedding, visual.positional_embedding, visual.ln_pre)
    *blocks, last = visual.transformer.resblocks

    pooling = (
        [part for part in (visual.attn_pool, visual.attn_pool_contrastive) if part]
        if (getattr(visual, "attn_pool", None) is not None)
        else []
    )
    return (
        Stage("embedding", embedding, visual._embeds),
        *(_stage(f"block {number}", block) for number, block in enumerate(blocks)),
        # Norm and pooling belong to the last block, as in open_clip's lock().
        Stage(
            f"block {len(blocks)}",
            (last, visual.ln_post, *pooling),
            lambda x: visual._pool(last(x))[0],
        ),
        Stage("projection", (visual.proj,), lambda pooled: pooled @ visual.proj),
    )


def _modified_resnet(visual: Any) -> tuple[Stage, ...]:
    stem = [getattr(visual, f"{kind}{i}") for i in (1, 2, 3) for kind in ("conv", "bn")]
    layers = (visual.layer1, visual.layer2, visual.layer3, visual.layer4)
    return (
        Stage("stem", tuple(stem), visual.stem),
        *(_stage(f"layer {number}", layer) for number, layer in enumerate(layers, start=1)),
        _stage("projection", visual.attnpool),
    )


def _trunk(trunk: nn.Module) -> tuple[Stage, ...]:
    """The stages of a timm network, up to its pooled features."""
    for kind, build in _TRUNKS.items():
        if isinstance(trunk, kind):
            return build(trunk)
    known = ", ".join(kind.__name__ for kind in _TRUNKS)
    raise ConfigurationError(
        f"timm's {type(trunk).__name__} cannot be trained; supported: {known}."
    )


def _efficientnet(trunk: Any) -> tuple[Stage, ...]:
    return (
        Stage("stem", (trunk.conv_stem, trunk.bn1), lambda x: trunk.bn1(trunk.conv_stem(x))),
        *(_stage(f"blocks {number}", block) for number, block in enumerate(trunk.blocks)),
        Stage(
            "head",
            (trunk.conv_head, trunk.bn2, trunk.classifier),
            lambda x: trunk.forward_head(trunk.bn2(trunk.conv_head(x))),
        ),
    )


def _resnet(trunk: Any) -> tuple[Stage, ...]:
    return (
        Stage(
            "stem",
            (trunk.conv1, trunk.bn1),
            lambda x: trunk.maxpool(trunk.act1(trunk.bn1(trunk.conv1(x)))),
        ),
        *(_stage(f"layer {i}", getattr(trunk, f"layer{i}")) for i in (1, 2, 3)),
        Stage("layer 4", (trunk.layer4, trunk.fc), lambda x: trunk.forward_head(trunk.layer4(x))),
    )


def _convnext(trunk: Any) -> tuple[Stage, ...]:
    *stages, last = trunk.stages
    return (
        _stage("stem", trunk.stem),
        *(_stage(f"stage {number}", stage) for number, stage in enumerate(stages)),
        Stage(
            f"stage {len(stages)}",
            (last, trunk.norm_pre, trunk.head),
            lambda x: trunk.forward_head(trunk.norm_pre(last(x))),
        ),
    )


def _timm_vision_transformer(trunk: Any) -> tuple[Stage, ...]:
    *blocks, last = trunk.blocks
    loose = (trunk.cls_token, trunk.reg_token, trunk.pos_embed)
    embedding = (trunk.patch_embed, trunk.norm_pre, *(part for part in loose if part is not None))
    pooling = () if trunk.attn_pool is None else (trunk.attn_pool,)
    return (
        Stage(
            "embedding",
            embedding,
            lambda x: trunk.norm_pre(trunk.patch_drop(trunk._pos_embed(trunk.patch_embed(x)))),
        ),
        *(_stage(f"block {number}", block) for number, block in enumerate(blocks)),
        Stage(
            f"block {len(blocks)}",
            (last, trunk.norm, *pooling, trunk.fc_norm, trunk.head),
            lambda x: trunk.forward_head(trunk.norm(last(x))),
        ),
    )


_TRUNKS: dict[type[nn.Module], Callable[[Any], tuple[Stage, ...]]] = {
    EfficientNet: _efficientnet,
    ResNet: _resnet,
    ConvNeXt: _convnext,
    TimmVisionTransformer: _timm_vision_transformer,
}
