"""Writes a model folder: open_clip's `local-dir` format plus labels, metrics and a model card."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import torch
from open_clip.model import CLIP
from safetensors.torch import save_file

from petsearch.domain import Label
from training.drawings.config import ModelConfig

WEIGHTS = "open_clip_model.safetensors"
_HALF = {"mean": [0.5, 0.5, 0.5], "std": [0.5, 0.5, 0.5]}
_VOCABULARY_SIZE = 49408


@dataclass(frozen=True)
class Prompts:
    """How texts are put into prompts, and the labels a model can name."""

    prompt_templates: Sequence[str]
    label_templates: Sequence[str]
    labels: Sequence[Label]


def build_model(config: ModelConfig) -> CLIP:
    """A CLIP with random weights, from torch's global generator."""
    return CLIP(**open_clip_config(config)["model_cfg"])


def open_clip_config(config: ModelConfig) -> dict[str, Any]:
    """What open_clip reads as open_clip_config.json."""
    vision = {
        "layers": list(config.vision_layers),
        "width": config.vision_width,
        "head_width": config.vision_head_width,
        "image_size": config.image_size,
    }
    text = {
        "context_length": config.context_length,
        "vocab_size": _VOCABULARY_SIZE,
        "width": config.text_width,
        "heads": config.text_heads,
        "layers": config.text_layers,
    }
    towers = {"embed_dim": config.embed_dim, "vision_cfg": vision, "text_cfg": text}
    preprocess = {**_HALF, "interpolation": "bicubic", "resize_mode": "shortest"}
    return {"model_cfg": towers, "preprocess_cfg": preprocess}


def write_model(folder: Path, model: CLIP, config: ModelConfig, prompts: Prompts) -> None:
    """Write weights (fp16), configuration and labels into `folder`, which is made if needed."""
    folder.mkdir(parents=True, exist_ok=True)
    module = cast(torch.nn.Module, model)
    weights = {
        name: (tensor.half() if tensor.is_floating_point() else tensor).detach().cpu().contiguous()
        for name, tensor in module.state_dict().items()
    }
    save_file(weights, folder / WEIGHTS)
    # safetensors writes for the owner only; a service often runs as someone else.
    (folder / WEIGHTS).chmod(0o644)
    write_json(folder / "open_clip_config.json", open_clip_config(config))
    labels = [{"breed": label.breed, "species": label.species} for label in prompts.labels]
    words = {
        "prompt_templates": list(prompts.prompt_templates),
        "label_templates": list(prompts.label_templates),
        "labels": labels,
    }
    write_json(folder / "labels.json", words)


def write_json(path: Path, content: Any) -> None:
    """Write JSON for people and diffs: indented, with a final newline."""
    path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
