"""The tools that look after the tests: lost ones are noticed, and every change has its reason."""

import pytest

from tests.tools import house, mutants
from tests.tools.lost_tests import Change, read_changes, unexplained

OLD = ("a.py::test_x", "a.py::test_y[1]", "a.py::test_y[2]", "b.py::test_z")


@pytest.mark.parametrize(
    ("changes", "lost"),
    [
        ({}, ["a.py::test_y[1]", "a.py::test_y[2]", "b.py::test_z"]),
        ({"a.py::test_y": Change("a.py::test_w", "-")}, ["b.py::test_z"]),
        ({"a.py": Change("c.py", "-")}, ["a.py::test_y[1]", "a.py::test_y[2]", "b.py::test_z"]),
        ({"a.py::test_y": Change("", "-"), "b.py": Change("d/b.py", "-")}, []),
        ({"a.py::test_y[1]": Change("", "-")}, ["a.py::test_y[2]", "b.py::test_z"]),
    ],
)
def test_a_test_that_is_gone_needs_a_reason(changes: dict[str, Change], lost: list[str]) -> None:
    new = ("a.py::test_x", "a.py::test_w[3]", "d/b.py::test_z")
    assert unexplained(OLD, new, changes) == lost


@pytest.mark.parametrize("row", ["old\tnew\t ", "old\tnew\ta\nold\tnew\tb"])
def test_a_row_without_a_reason_of_its_own_is_an_error(row: str) -> None:
    with pytest.raises(ValueError, match="no reason"):
        read_changes(f"head\n{row}\n")


@pytest.mark.parametrize("package", house.packages(), ids=lambda package: package.name)
def test_no_package_has_too_many_modules(package: house.Package) -> None:
    assert package.modules <= package.most_modules


@pytest.mark.parametrize("measure", ["median", "90th percentile"])
def test_functions_are_short(measure: str) -> None:
    assert house.lengths()[measure] <= house.MOST_LINES[measure]


def test_public_names_have_docstrings() -> None:
    assert house.documented() >= house.LEAST_DOCUMENTED


@pytest.mark.parametrize("mutant", mutants.MUTANTS, ids=lambda mutant: mutant.name)
def test_what_a_mutant_changes_is_still_there(mutant: mutants.Mutant) -> None:
    assert mutant.occurrences == 1
