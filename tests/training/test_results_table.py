"""The README's table of results is what the evaluations in docs/results give."""

from pathlib import Path

import pytest

from petsearch.domain.errors import InvalidInput
from training.evaluation.files import read_json
from training.evaluation.results_table import (
    BEGIN,
    END,
    NOT_MEASURED,
    ROOT,
    results_table,
    with_table,
)

RESULTS = ROOT / "docs/results"
README = ROOT / "README.md"


def test_the_readme_says_what_was_measured() -> None:
    written = README.read_text(encoding="utf-8")
    assert written == with_table(written, RESULTS), (
        "run: python -m training.evaluation.results_table"
    )


def test_every_evaluation_has_a_row_with_its_own_figures() -> None:
    rows = results_table(RESULTS).splitlines()[2:]
    paths = sorted(RESULTS.glob("*.json"))
    assert paths
    for path, row in zip(paths, rows, strict=False):
        evaluation = read_json(path)
        top1 = evaluation.figure("classification.single.top1").estimate.value
        assert f"`{evaluation.model.model_id}` | {top1:.3f} [" in row
        assert f"{evaluation.data.photos} photos" in row


def test_what_was_not_measured_is_marked_with_its_command() -> None:
    rows = results_table(RESULTS).splitlines()[-len(NOT_MEASURED) :]
    for model, row in zip(NOT_MEASURED, rows, strict=True):
        assert f"| {model} | not measured here |" in row
        assert "`petsearch evaluate --model " in row


def test_only_what_is_between_the_marks_changes(tmp_path: Path) -> None:
    text = f"before\n{BEGIN}\nold\n{END}\nafter\n"
    changed = with_table(text, tmp_path)
    assert changed.startswith(f"before\n{BEGIN}\n| model |")
    assert changed.endswith(f"|\n{END}\nafter\n")
    assert "old" not in changed
    with pytest.raises(InvalidInput, match="no markers for results"):
        with_table("no marks", tmp_path)
