"""A program that can write no temporary file says so before it starts."""

import resource
import tempfile

import pytest

from petsearch.domain.errors import ConfigurationError
from petsearch.file_access import check_temporary_folder


def test_without_one_nothing_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    check_temporary_folder()
    monkeypatch.setattr(tempfile, "tempdir", None)  # it keeps the one that it found
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, hard))
    try:
        with pytest.raises(ConfigurationError, match="TMPDIR"):
            check_temporary_folder()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
