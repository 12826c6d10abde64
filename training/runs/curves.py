"""The curves of a run as a PNG: the loss of each step and the validation of each epoch."""

import io
from pathlib import Path

from matplotlib.figure import Figure

from petsearch.atomic_file import write_atomically
from training.runs.log import Rows

_SMOOTHED_STEPS = 20
_SCORES = {"top1": "top-1", "precision_at_5": "P@5", "mean_average_precision": "mAP"}


def write_curves(path: Path, steps: Rows, epochs: Rows) -> None:
    """Plot losses and validation figures into a PNG file.

    Raises:
        StorageFull: no space left.
    """
    figure = Figure(figsize=(11, 4), layout="constrained")
    losses, scores = figure.subplots(1, 2)
    numbers = [row["number"] + 1 for row in steps]
    values = [row["loss"] for row in steps]
    losses.plot(numbers, values, color="0.8", label="step")
    losses.plot(numbers, _running_mean(values), label=f"mean of {_SMOOTHED_STEPS} steps")
    losses.plot(
        [row["step"] for row in epochs], [row["loss"] for row in epochs], "o-", label="validation"
    )
    losses.set(xlabel="step", ylabel="loss", title="Loss")
    for name, label in _SCORES.items():
        epochs_done = [row["epoch"] + 1 for row in epochs]
        scores.plot(epochs_done, [row[name] for row in epochs], "o-", label=label)
    scores.set(xlabel="epoch", title="Validation")
    for axes in (losses, scores):
        axes.grid(visible=True, alpha=0.3)
        axes.legend()
    picture = io.BytesIO()
    figure.savefig(picture, format="png", dpi=110)
    write_atomically(path, picture.getvalue())


def _running_mean(values: list[float]) -> list[float]:
    window = _SMOOTHED_STEPS
    return [
        sum(values[max(0, end - window) : end]) / min(end, window)
        for end in range(1, len(values) + 1)
    ]
