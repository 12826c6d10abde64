"""What commands print."""

import uuid

import pytest
from typer.testing import CliRunner

import petsearch
from petsearch.cli.main import app
from petsearch.cli.output import print_table


def test_the_version_is_told() -> None:
    answer = CliRunner().invoke(app, ["--version"])
    assert (answer.exit_code, answer.output) == (0, f"{petsearch.__version__}\n")


def test_a_row_is_one_line_in_a_pipe_however_long(capsys: pytest.CaptureFixture[str]) -> None:
    row = ("photo-" * 30, str(uuid.uuid4()))
    print_table(("file", "image_id"), [row], empty="")
    assert capsys.readouterr().out.splitlines()[1].split() == [*row]
