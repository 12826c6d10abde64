"""The install steps of the Dockerfiles, run in clean virtual environments.

Slow, and it asks the package index: PETSEARCH_TEST_IMAGES=1 turns it on.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.infra.compose_files import ROOT, image
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


def copied(service: str) -> list[str]:
    """What the build stage copies from the checkout, in its order."""
    return [
        source
        for words in image(service)
        if words[0] == "COPY" and not words[1].startswith("--from=")
        for source in words[1:-1]
    ]


def requirement(service: str) -> str:
    """What the build stage installs: `.[api]`."""
    text = "\n".join(" ".join(words) for words in image(service))
    assert f"install --constraint constraints.txt '.[{service}]'" in text
    return f".[{service}]"


def copy(names: list[str], folder: Path) -> None:
    """Files and folders of the checkout, without what only a run leaves."""
    ignore = shutil.ignore_patterns("__pycache__", "*.pyc", ".*", "Dockerfile")
    for name in names:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, folder / name, ignore=ignore, dirs_exist_ok=True)
        else:
            shutil.copy(ROOT / name, folder / name)


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
    build, environment = tmp_path / "build", tmp_path / "venv"
    build.mkdir()
    uv = [sys.executable, "-m", "uv"]

    def run(*words: str) -> None:
        subprocess.run([*uv, *words], cwd=build, check=True, timeout=1500)

    run("venv", "--quiet", "--python", sys.executable, str(environment))
    python = environment / "bin/python"
    install = ["pip", "install", "--quiet", "--python", str(python)]
    sources = copied(service)
    files = [name for name in sources if (ROOT / name).is_file()]
    copy(files, build)
    for name in ("petsearch", "services", "training", "web"):
        (build / name).mkdir()
    (build / "README.md").touch()
    (build / "petsearch/__init__.py").touch()
    run(*install, "--constraint", "constraints.txt", requirement(service))
    copy([name for name in sources if name not in files], build)
    run(*install, "--no-deps", "--reinstall", ".")

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
