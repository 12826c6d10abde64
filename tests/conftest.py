"""Fixtures that several kinds of test share."""

import os
from pathlib import Path

import pytest

_ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real photos and of a small real CLIP, kept outside the repository."""
    folder = Path(os.environ.get("PETSEARCH_SHARED", _ROOT.parent / "shared"))
    if not (folder / "data").is_dir():
        pytest.skip(f"no real photos: set PETSEARCH_SHARED to their folder ({folder} is absent)")
    return folder


@pytest.fixture(scope="session")
def real_photos(shared: Path) -> list[Path]:
    """74 unmodified photos at native size, two per breed."""
    return sorted((shared / "data/photos").glob("*.jpg"))
