"""Says which real servers the contract suites ran over; `make test-real` wants all of them."""

import os

import pytest

from tests.contract.real_servers import VARIABLES


@pytest.mark.parametrize("variable", VARIABLES)
def test_a_real_server_is_among_those_tested(variable: str) -> None:
    if os.environ.get(variable):
        return
    missing = f"{variable} is not set: {VARIABLES[variable]}"
    if os.environ.get("PETSEARCH_TEST_REAL"):
        pytest.fail(missing)
    pytest.skip(missing)
