"""Importing open_clip without torch's compiler, and having the compiler all the same."""

import subprocess
import sys

SCRIPT = """
import sys
import numpy as np
from petsearch.adapters.clip.model import load_model
clip = load_model("sample")
spec = clip.info.pixel_spec
clip.encode_pixels(np.zeros((2, 3, spec.height, spec.width), np.uint8))
clip.encode_tokens(clip.tokenise(["a cat", "a dog"]))
print("torch._dynamo" in sys.modules, "sympy" in sys.modules)
import torch
print(torch.compile(lambda x: x + 1, backend="eager")(torch.ones(2)).tolist())
"""


def test_a_model_runs_without_the_compiler_which_is_there_when_it_is_asked_for() -> None:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], check=True, capture_output=True, text=True, timeout=500
    )
    assert done.stdout.splitlines()[-2:] == ["False False", "[2.0, 2.0]"], done.stdout
