"""What `petsearch evaluate` cannot measure, it refuses with the reason."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from petsearch.cli.main import app
from tests import pictures
from tests.training.photo_sets import write_photo_set


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--data", "{set}", "--label-column", "kind"), "no column 'kind'. Its columns: image"),
        (("--data", "{set}", "--split", "train"), "split train"),
        (("--data", "{one}"), "only 'pug'; at least two classes"),
        (("--data", "{set}", "--baseline", "hub:nothing/x"), "Unknown model architecture"),
    ],
)
def test_the_reason_is_said(tmp_path: Path, arguments: tuple[str, ...], message: str) -> None:
    photos = [pictures.jpeg(number) for number in range(4)]
    both = write_photo_set(tmp_path / "set", photos, ["siamese", "pug"] * 2, split="test")
    one = write_photo_set(tmp_path / "one", photos, ["pug"] * 4, split="test")
    filled = [part.format(set=both, one=one) for part in arguments]
    done = CliRunner().invoke(app, ["evaluate", "--model", "sample", *filled])
    assert done.exit_code == 1
    assert message in " ".join(done.stderr.split())


@pytest.mark.parametrize(
    "arguments",
    [
        ("--data", "drawings", "--out", "report"),
        ("--data", "drawings", "--baseline", "sample"),
        ("--data", "drawings", "--template", "a drawing of a {}."),
        ("--data", "drawings", "--split", "train"),
        ("--data", "drawings", "--seed", "1"),
        ("--data", "photos", "--seed", "-1"),
    ],
)
def test_options_that_would_have_no_effect_are_wrong_usage(arguments: tuple[str, ...]) -> None:
    done = CliRunner().invoke(app, ["evaluate", "--model", "sample", *arguments])
    assert done.exit_code == 2
    assert "Usage" in done.stderr


def test_a_folder_that_cannot_be_made_is_found_out_before_anything_is_measured(
    tmp_path: Path,
) -> None:
    (tmp_path / "file").touch()
    words = ["--data", str(tmp_path / "nowhere"), "--out", str(tmp_path / "file/report")]
    done = CliRunner().invoke(app, ["evaluate", "--model", "sample", *words])
    assert done.exit_code == 1
    assert "The report cannot be written" in " ".join(done.stderr.split())
