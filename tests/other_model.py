"""A second model for tests: the bundled one with other weights, so with other scores."""

import shutil
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file, save_file

from petsearch.sample.catalogue import MODEL_DIR

WEIGHTS = "open_clip_model.safetensors"
_NOISE = 0.05
"""Of the spread of each tensor: enough that every score is another."""


def write_other_model(folder: Path, *, seed: int = 1) -> Path:
    """A model folder; its embeddings are near those of the sample, and not the same."""
    shutil.copytree(MODEL_DIR, folder)
    (folder / "calibration.json").unlink()  # of other weights
    weights, rng = load_file(folder / WEIGHTS), np.random.default_rng(seed)
    for name, tensor in weights.items():
        if tensor.dtype.kind == "f" and tensor.ndim > 1:
            spread = float(tensor.astype(np.float32).std())
            noise = rng.normal(scale=_NOISE * spread, size=tensor.shape)
            weights[name] = (tensor.astype(np.float32) + noise).astype(tensor.dtype)
    save_file(weights, folder / WEIGHTS)
    return folder
