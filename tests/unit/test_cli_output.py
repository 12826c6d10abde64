"""What commands print."""

import uuid

import pytest
from typer.testing import CliRunner

import petsearch
from petsearch.cli import app
from petsearch.cli_output import print_table


def test_the_version_is_told() -> None:
    answer = CliRunner().invoke(app, ["--version"])
    assert (answer.exit_code, answer.output) == (0, f"{petsearch.__version__}\n")


def test_an_id_is_whole_in_a_pipe_however_long_the_rest(capsys: pytest.CaptureFixture[str]) -> None:
    image_id = str(uuid.uuid4())
    print_table(("file", "image_id"), [("photo-" * 30, image_id)], empty="")
    assert image_id in capsys.readouterr().out.split()
