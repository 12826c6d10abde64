"""Paths of photos and of a small CLIP that are not in the repository.

`PETSEARCH_SHARED` names their folder, as for the tests; options of a benchmark override them.
"""

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from petsearch.observability import configure_logging
from petsearch.process_tuning import tune_process

if TYPE_CHECKING:
    from petsearch.adapters.clip.model import OpenClipModel

SHARED = Path(os.environ.get("PETSEARCH_SHARED", "../shared"))
PHOTOS = SHARED / "data/photos"
MODEL = f"dir:{SHARED / 'models/pets-base'}"
DATASET = str(SHARED / "data/oxford-iiit-pet")


def check_is_there(model: str = "", dataset: str = "") -> None:
    """End the program with one line where a folder is absent; names on a hub are not asked for.

    Raises:
        typer.Exit: a model `dir:<folder>`, or the folder of a data set, is not there.
    """
    options = "--model and --dataset" if dataset else "--model"
    kind, _, folder = model.partition(":")
    _check(Path(folder) if kind == "dir" else None, options)
    _check(Path(dataset) if _is_path(dataset) else None, options)


def load_clip(model: str, dataset: str = "") -> "OpenClipModel":
    """The model, in a process that is tuned for it.

    Raises:
        typer.Exit: as `check_is_there`.
    """
    check_is_there(model, dataset)
    tune_process()
    configure_logging(level="ERROR")
    # Imported here: OpenMP must be told how to wait before torch is there.
    from petsearch.adapters.clip.model import load_model

    return load_model(model)


def _is_path(dataset: str) -> bool:
    """A name on the hub has at most one slash."""
    return dataset.startswith((".", "/", "~")) or dataset.count("/") > 1


def _check(folder: Path | None, options: str) -> None:
    if folder is not None and not folder.expanduser().is_dir():
        sys.stderr.write(f"{folder} is not there: give {options}.\n")
        raise typer.Exit(1)
