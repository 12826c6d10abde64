"""What the images install, in clean virtual environments.

Slow, and it asks the package index: PETSEARCH_TEST_IMAGES=1 turns it on.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.infra.compose_files import ROOT
from tests.infra.test_dockerfiles import TORCH

pytestmark = [
    pytest.mark.skipif(
        os.environ.get("PETSEARCH_TEST_IMAGES") != "1",
        reason="takes minutes and the package index: PETSEARCH_TEST_IMAGES=1 runs it",
    ),
    pytest.mark.timeout(1800),
]
MOST_MB = {"api": 300, "worker": 450}
ENTRIES = {"api": "services.api.main", "worker": "services.worker.main"}


def megabytes(folder: Path) -> float:
    """The size of all files, in MB."""
    return sum(file.lstat().st_size for file in folder.rglob("*") if file.is_file()) / 1e6


def largest(folder: Path) -> str:
    """The ten largest folders, for whoever has to find what to cut."""
    sizes = {child.name: megabytes(child) for child in folder.iterdir() if child.is_dir()}
    first = sorted(sizes, key=lambda name: -sizes[name])[:10]
    return ", ".join(f"{name} {sizes[name]:.0f}" for name in first)


@pytest.mark.parametrize("service", sorted(MOST_MB))
def test_image_installs_without_torch_and_is_small(
    service: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    environment = tmp_path / "venv"
    uv = [sys.executable, "-m", "uv"]

    def run(*words: str) -> None:
        subprocess.run([*uv, *words], cwd=ROOT, check=True, timeout=1500)

    run("venv", "--quiet", "--python", sys.executable, str(environment))
    python = environment / "bin/python"
    install = ["pip", "install", "--quiet", "--no-deps", "--python", str(python)]
    run(*install, "--require-hashes", "--requirement", f"infra/images/{service}.txt")
    run(*install, ".")

    (packages,) = (environment / "lib").glob("python*/site-packages")
    installed = {file.name.split("-")[0].lower() for file in packages.glob("*.dist-info")}
    assert not {name.replace("-", "_") for name in TORCH} & installed
    size_mb = megabytes(packages)
    with capsys.disabled():
        print(f"\n{service}: {size_mb:.0f} MB installed ({largest(packages)})")  # noqa: T201
    code = (
        f"import {ENTRIES[service]} as main; assert callable(main.create_app); "
        "import petsearch.cli.main, petsearch.cli.ingest, petsearch.cli.models"
    )
    subprocess.run([str(python), "-I", "-c", code], cwd=tmp_path, check=True, timeout=300)
    if service == "worker":
        subprocess.run(
            [str(python), "-I", "-c", "import services.worker.ping"], check=True, timeout=300
        )
    assert size_mb <= MOST_MB[service]
