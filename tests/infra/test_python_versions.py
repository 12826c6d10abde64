"""Every Python that `make setup` may choose can install everything from wheels."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.infra.compose_files import ROOT

VERSIONS = ("3.11", "3.12", "3.13", "3.14")
MACHINES = ("x86_64", "aarch64")


@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize("version", VERSIONS)
def test_all_packages_have_wheels(version: str, machine: str) -> None:
    command = [str(Path(sys.executable).with_name("uv")), "pip", "compile", "pyproject.toml"]
    platform = ("--python-version", version, "--python-platform", f"{machine}-manylinux_2_28")
    quietly = ("--all-extras", "--constraint", "constraints.txt", "--only-binary", ":all:", "-q")
    done = subprocess.run(
        [*command, *platform, *quietly], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if done.returncode and "No solution found" not in done.stderr:
        pytest.skip(f"no package index answers: {done.stderr[-200:]}")
    assert done.returncode == 0, done.stderr


def test_make_setup_says_which_python_it_wants() -> None:
    done = subprocess.run(
        ["make", "setup", "PYTHON=", "VENV=/nonexistent"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode != 0
    assert "No Python 3.11 to 3.14 with venv was found." in done.stdout
    assert "sudo apt install python3-venv" in done.stdout
