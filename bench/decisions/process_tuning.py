"""Photos per second with and without petsearch/process_tuning.py (ADR 4), measured alternately.

`python -m bench.decisions.process_tuning`; every reading runs in its own process, because the
settings apply to a whole process.
"""

import json
import statistics
import subprocess
import sys
import threading
import time
from typing import Annotated

import numpy as np
import typer

from bench.shared_data import MODEL, check_is_there
from petsearch.observability import configure_logging
from petsearch.process_tuning import tune_process

_BATCH = 16
_ROUNDS = 12


def main(
    *,
    model: Annotated[str, typer.Option()] = MODEL,
    pairs: Annotated[int, typer.Option(min=1)] = 3,
    reading: Annotated[str, typer.Option(help="tuned or plain: one reading, as JSON")] = "",
) -> None:
    """Print the ratio of tuned to untuned throughput."""
    check_is_there(model)
    configure_logging(level="ERROR")
    if reading:
        sys.stdout.write(json.dumps(_read(model, tuned=reading == "tuned")))
        return
    ratios = []
    for _ in range(pairs):
        plain, tuned = _spawn(model, "plain"), _spawn(model, "tuned")
        ratios.append(tuned / plain)
        sys.stdout.write(f"plain {plain:.1f}/s, tuned {tuned:.1f}/s, ratio {ratios[-1]:.2f}\n")
    sys.stdout.write(f"median ratio {statistics.median(ratios):.2f}\n")


def _spawn(model: str, reading: str) -> float:
    command = [sys.executable, "-m", __spec__.name, "--model", model, "--reading", reading]
    return float(json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout))


def _read(model: str, *, tuned: bool) -> float:
    if tuned:
        tune_process()
    from petsearch.adapters.clip.model import load_model

    clip = load_model(model)
    spec = clip.info.pixel_spec
    pixels = np.zeros((_BATCH, 3, spec.height, spec.width), np.uint8)
    seconds: list[float] = []

    def encode() -> None:
        for _ in range(_ROUNDS):
            started = time.perf_counter()
            clip.encode_pixels(pixels)
            seconds.append(time.perf_counter() - started)

    # In a thread, as in the batcher: other threads have other arenas.
    thread = threading.Thread(target=encode)
    thread.start()
    thread.join()
    return _BATCH / statistics.median(seconds)


if __name__ == "__main__":
    typer.run(main)
