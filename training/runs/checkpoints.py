"""Checkpoints: written whole or not at all, and read back only by the run that wrote them."""

import io
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from petsearch.atomic_file import write_atomically
from petsearch.domain.errors import ConfigurationError, Conflict

_FILE = "checkpoint.pt"


@dataclass
class Checkpoint:
    """All that a run needs to go on; what is random follows from seed and step."""

    step: int
    """Steps done."""
    weights: dict[str, Any]
    """Of what is trained, by name."""
    average: dict[str, Any]
    """The running average of the same."""
    optimiser: dict[str, Any]
    scaler: dict[str, Any]
    best: dict[str, Any]
    """The weights of the best epoch so far; empty before the first validation."""
    steps: list[dict[str, float]] = field(default_factory=list)
    epochs: list[dict[str, float]] = field(default_factory=list)
    """What happened in each step and epoch, for the log."""


def write_checkpoint(folder: Path, checkpoint: Checkpoint, fingerprint: str) -> None:
    """Replace the checkpoint in `folder`.

    Raises:
        StorageFull: no space left; the checkpoint before stays.
    """
    buffer = io.BytesIO()
    torch.save({"fingerprint": fingerprint, **vars(checkpoint)}, buffer)
    write_atomically(folder / _FILE, buffer.getvalue())


def read_checkpoint(folder: Path, fingerprint: str) -> Checkpoint | None:
    """What a run that was stopped left in `folder`, None if there is nothing.

    Raises:
        Conflict: it was left by a run with another configuration, model or photos.
        ConfigurationError: the file is damaged.
    """
    path = folder / _FILE
    if not path.exists():
        return None
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, EOFError, ValueError) as error:
        raise ConfigurationError(f"{path} does not read: {error}. Delete {folder}.") from error
    if content.pop("fingerprint") != fingerprint:
        raise Conflict(
            f"{folder} is of a run with another configuration, base model or photos. "
            "Delete it or give another --out."
        )
    return Checkpoint(**content)
