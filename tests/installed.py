"""Programs that some tests need. Without one its tests are skipped, unless it must be there."""

import os
import shutil
import sys
from pathlib import Path
from typing import NoReturn

import pytest


def find(name: str) -> str | None:
    """Path of a program: PETSEARCH_TEST_<NAME>, else beside this Python, else on PATH."""
    beside = Path(sys.executable).with_name(name)
    named = os.environ.get(f"PETSEARCH_TEST_{name.upper()}")
    return named or (str(beside) if beside.exists() else shutil.which(name))


def require(name: str, how: str) -> str:
    """Path of a program; skips the test, saying how to install it, if it is absent."""
    return find(name) or absent(name, how)


def absent(name: str, how: str) -> NoReturn:
    """Skip the test for want of a program; fail if PETSEARCH_TEST_PROGRAMS lists it."""
    message = f"{name} is not installed: {how}"
    if name in os.environ.get("PETSEARCH_TEST_PROGRAMS", "").split():
        pytest.fail(message)
    pytest.skip(message)
