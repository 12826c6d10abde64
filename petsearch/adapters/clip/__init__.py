"""CLIP models of open_clip: where their weights come from, how they are loaded, tuned for inference
and run. `model`, `library` and `inference_tuning` import torch, so they are imported by their
full names and only where a model runs.
"""

from petsearch.adapters.clip.sources import ModelSource, published_source, resolve_model

__all__ = ["ModelSource", "published_source", "resolve_model"]
