"""The model folder that a run writes: open_clip's `local-dir` format, labels and a record."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors.torch import save
from torch import nn

from petsearch.atomic_file import write_atomically
from petsearch.models.folder import CARD, CONFIG, LABELS, METRICS, WEIGHTS, LabelsFile


def write_weights(
    folder: Path, module: nn.Module, config: Mapping[str, Any], labels: LabelsFile
) -> None:
    """Write weights (fp16), open_clip_config.json and labels.json into `folder`.

    Raises:
        StorageFull: no space left.
    """
    weights = {
        name: (tensor.half() if tensor.is_floating_point() else tensor).detach().cpu().contiguous()
        for name, tensor in module.state_dict().items()
    }
    write_atomically(folder / WEIGHTS, save(weights), is_lasting=True)
    write_json(folder / CONFIG, config)
    write_json(folder / LABELS, labels.model_dump(mode="json"))


def write_record(folder: Path, record: Mapping[str, Any], card: str) -> None:
    """Write metrics.json and MODEL_CARD.md; errors as `write_weights`."""
    write_json(folder / METRICS, record)
    write_atomically(folder / CARD, card.encode(), is_lasting=True)


def write_json(path: Path, content: Any) -> None:
    """Write JSON for readers and diffs: indented, with a final newline."""
    write_atomically(path, (json.dumps(content, indent=1) + "\n").encode(), is_lasting=True)
