"""Fixtures of the tests of training."""

from pathlib import Path

import datasets
import pytest


@pytest.fixture(autouse=True, scope="session")
def _own_cache_of_data_sets(tmp_path_factory: pytest.TempPathFactory) -> None:
    """What `datasets` copies goes into the tests' folder, and no bar is drawn."""
    datasets.config.HF_DATASETS_CACHE = tmp_path_factory.mktemp("datasets-cache")
    datasets.disable_progress_bars()


@pytest.fixture(scope="session")
def pets_split(shared: Path) -> str:
    """The folder of real labelled photos."""
    return str(shared / "data/oxford-iiit-pet")
