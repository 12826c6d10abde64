"""The base model of a fine-tune: open_clip's module, its preprocessing and its prompts."""

import json
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import open_clip
from open_clip.transformer import QuickGELU
from torch import nn

from petsearch.adapters.clip import ModelSource, resolve_model
from petsearch.adapters.clip.model import Tokenizer, create_module, preprocessing_of
from petsearch.domain import PixelSpec
from petsearch.models.folder import CONFIG, LabelsFile, read_labels


@dataclass(frozen=True)
class BaseModel:
    """A loaded CLIP in fp32 on the CPU."""

    source: ModelSource
    module: nn.Module
    tokenise: Tokenizer
    pixel_spec: PixelSpec
    mean: tuple[float, ...]
    std: tuple[float, ...]
    config: dict[str, Any]
    """Content of open_clip_config.json in the result."""
    prompt_templates: tuple[str, ...]
    """Templates of search queries; the result keeps them."""
    species: dict[str, str]
    """Species of the labels in the base model's labels.json."""


def load_base(spec: str, image_size: int = 0) -> BaseModel:
    """Load `hub:<arch>/<tag>`, `dir:<folder>` or `sample` for training.

    Args:
        spec: address of the model.
        image_size: side of its images in pixels; 0 keeps the model's own. Position embeddings of
            a ViT are resampled; a convolutional tower accepts any size.

    Raises:
        ConfigurationError: the model does not exist, or the hub cannot be reached.
    """
    source = resolve_model(spec)
    module, tokenise = create_module(source, image_size=image_size or None)
    module = module.float().eval()
    pixel_spec, mean, std = preprocessing_of(module)
    labels = read_labels(source.labels_file.read_bytes()) if source.labels_file else LabelsFile()
    return BaseModel(
        source=source,
        module=module,
        tokenise=tokenise,
        pixel_spec=pixel_spec,
        mean=tuple(mean),
        std=tuple(std),
        config=_config(source, module, image_size),
        prompt_templates=labels.prompt_templates,
        species={label.breed: label.species for label in labels.labels},
    )


def _config(source: ModelSource, module: nn.Module, image_size: int) -> dict[str, Any]:
    folder = source.architecture.removeprefix("local-dir:")
    config: dict[str, Any] = (
        _hub_config(source, module)
        if folder == source.architecture
        else json.loads((Path(folder) / CONFIG).read_text())
    )
    if image_size:
        config["model_cfg"]["vision_cfg"]["image_size"] = image_size
    return config


def _hub_config(source: ModelSource, module: nn.Module) -> dict[str, Any]:
    """The configuration of the architecture as it was loaded."""
    model_cfg: dict[str, Any] = deepcopy(open_clip.get_model_config(source.architecture))
    # The tag decides on QuickGELU, not the architecture; a wrong choice silently costs accuracy.
    model_cfg["quick_gelu"] = any(isinstance(part, QuickGELU) for part in module.modules())
    # Weights come from the folder; open_clip must not download others first.
    for tower, library in (("vision_cfg", "timm"), ("text_cfg", "hf")):
        if f"{library}_model_name" in model_cfg[tower]:
            model_cfg[tower][f"{library}_model_pretrained"] = False
    preprocess = cast(Any, module).visual.preprocess_cfg
    kept = ("mean", "std", "interpolation", "resize_mode")
    return {"model_cfg": model_cfg, "preprocess_cfg": {key: preprocess[key] for key in kept}}
