"""The model that a fine-tune starts from, ready to be trained: open_clip's module and its words."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import open_clip
from open_clip.transformer import QuickGELU
from torch import Tensor, nn

from petsearch.adapters.clip import ModelSource, resolve_model
from petsearch.adapters.clip.model import preprocessing_of
from petsearch.domain import PixelSpec
from petsearch.domain.errors import ConfigurationError
from petsearch.domain.prompts import DEFAULT_TEMPLATES

_CONFIG = "open_clip_config.json"


@dataclass(frozen=True)
class BaseModel:
    """A loaded CLIP in fp32 on the CPU."""

    source: ModelSource
    module: nn.Module
    tokenise: Callable[[Sequence[str]], Tensor]
    """Token ids int64 `(n, context_length)`."""
    pixel_spec: PixelSpec
    mean: tuple[float, ...]
    std: tuple[float, ...]
    config: dict[str, Any]
    """What open_clip_config.json of the result holds."""
    prompt_templates: tuple[str, ...]
    """How searches put queries into prompts; a fine-tune keeps them."""
    species: dict[str, str]
    """Of the labels that the model could name before."""


def load_base(spec: str, image_size: int = 0) -> BaseModel:
    """Load `hub:<arch>/<tag>`, `dir:<folder>` or `sample` for training.

    Args:
        spec: where the model comes from.
        image_size: side of the images that it is to see, in pixels; 0 keeps its own. A ViT's
            position embeddings are resampled, a convolutional tower takes any size.

    Raises:
        ConfigurationError: there is no such model, or the hub cannot be reached.
    """
    source = resolve_model(spec)
    try:
        model, _, _ = open_clip.create_model_and_transforms(
            source.architecture,
            pretrained=source.pretrained,
            device="cpu",
            force_quick_gelu=source.quick_gelu,
            force_image_size=image_size or None,
        )
        tokenise = open_clip.get_tokenizer(source.architecture)
    except (OSError, RuntimeError, ValueError) as error:
        raise ConfigurationError(f"The model {spec!r} does not load: {error}") from error
    module = cast(nn.Module, model).float().eval()
    pixel_spec, mean, std = preprocessing_of(module)
    words = json.loads(source.labels_file.read_text()) if source.labels_file else {}
    return BaseModel(
        source=source,
        module=module,
        tokenise=tokenise,
        pixel_spec=pixel_spec,
        mean=tuple(mean),
        std=tuple(std),
        config=_config(source, module, image_size),
        prompt_templates=tuple(words.get("prompt_templates", DEFAULT_TEMPLATES)),
        species={entry["breed"]: entry["species"] for entry in words.get("labels", ())},
    )


def _config(source: ModelSource, module: nn.Module, image_size: int) -> dict[str, Any]:
    folder = source.architecture.removeprefix("local-dir:")
    if folder != source.architecture:
        config: dict[str, Any] = json.loads((Path(folder) / _CONFIG).read_text())
    else:
        config = _hub_config(source, module)
    if image_size:
        config["model_cfg"]["vision_cfg"]["image_size"] = image_size
    return config


def _hub_config(source: ModelSource, module: nn.Module) -> dict[str, Any]:
    """The architecture's configuration, as the model was loaded."""
    model_cfg = dict(open_clip.get_model_config(source.architecture))
    # A wrong activation costs accuracy and nothing says so; the tag decides, not the architecture.
    model_cfg["quick_gelu"] = any(isinstance(part, QuickGELU) for part in module.modules())
    vision = dict(model_cfg["vision_cfg"])
    if "timm_model_name" in vision:
        # Weights come from the folder; open_clip must not fetch others first.
        vision["timm_model_pretrained"] = False
    text = dict(model_cfg["text_cfg"])
    if "hf_model_name" in text:
        text["hf_model_pretrained"] = False
    model_cfg |= {"vision_cfg": vision, "text_cfg": text}
    preprocess = cast(Any, module).visual.preprocess_cfg
    kept = ("mean", "std", "interpolation", "resize_mode")
    return {"model_cfg": model_cfg, "preprocess_cfg": {key: preprocess[key] for key in kept}}
