"""Checkpoints: written atomically, and only read back by the run that wrote them."""

import io
import pickle
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from petsearch.atomic_file import write_atomically
from petsearch.domain.errors import ConfigurationError, Conflict

_FILE = "checkpoint.pt"


@dataclass
class Checkpoint:
    """The state that a run resumes from; randomness is derived from seed and step."""

    step: int
    """Number of steps done."""
    weights: dict[str, Any]
    """Trained weights by name."""
    average: dict[str, Any]
    """Running average of the trained weights."""
    optimiser: dict[str, Any]
    scaler: dict[str, Any]
    best: dict[str, Any]
    """Averaged weights of the best epoch so far; empty before the first validation."""
    steps: list[dict[str, float]] = field(default_factory=list)
    epochs: list[dict[str, float]] = field(default_factory=list)
    """One entry for each step and for each epoch, for the log."""


def write_checkpoint(folder: Path, checkpoint: Checkpoint, fingerprint: str) -> None:
    """Replace the checkpoint in `folder`.

    Raises:
        StorageFull: no space left; the previous checkpoint is kept.
    """
    buffer = io.BytesIO()
    torch.save({"fingerprint": fingerprint, **vars(checkpoint)}, buffer)
    write_atomically(folder / _FILE, buffer.getvalue(), is_lasting=True)


def read_checkpoint(folder: Path, fingerprint: str) -> Checkpoint | None:
    """The checkpoint in `folder`; None if there is none.

    Raises:
        Conflict: it belongs to a run with another configuration, model or photos.
        ConfigurationError: the file is damaged.
    """
    path = folder / _FILE
    if not path.exists():
        return None
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, EOFError, ValueError, LookupError, pickle.PickleError) as error:
        raise ConfigurationError(f"{path} cannot be read: {error}. Delete {folder}.") from error
    if content.pop("fingerprint") != fingerprint:
        raise Conflict(
            f"{folder} belongs to a run with another configuration, base model or photos. "
            "Delete it or choose another --out."
        )
    return Checkpoint(**content)
