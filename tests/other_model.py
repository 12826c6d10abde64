"""A second model for tests: the bundled one with other weights, so with other scores."""

import shutil
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

from petsearch.sample.catalogue import MODEL_DIR

WEIGHTS = "open_clip_model.safetensors"


def write_other_model(folder: Path, *, seed: int = 1, with_metrics: bool = True) -> Path:
    """A model folder; its embeddings are near those of the sample, and not the same."""
    shutil.copytree(MODEL_DIR, folder)
    (folder / "calibration.json").unlink()  # of other weights
    if not with_metrics:
        (folder / "metrics.json").unlink()
    weights = load_file(folder / WEIGHTS)
    random = torch.Generator().manual_seed(seed)
    for name, tensor in weights.items():
        if tensor.is_floating_point() and tensor.dim() > 1:
            noise = torch.randn(tensor.shape, generator=random) * tensor.float().std() * 0.05
            weights[name] = (tensor.float() + noise).to(tensor.dtype)
    save_file(weights, folder / WEIGHTS)
    return folder
