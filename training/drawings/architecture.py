"""The architecture of the sample model: a small ModifiedResNet and text transformer."""

from typing import Any

from training.drawings.config import ModelConfig

_HALF = {"mean": [0.5, 0.5, 0.5], "std": [0.5, 0.5, 0.5]}
_VOCABULARY_SIZE = 49408


def open_clip_config(config: ModelConfig) -> dict[str, Any]:
    """The content of open_clip_config.json."""
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
