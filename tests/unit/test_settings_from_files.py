"""Settings whose values are in files, as secrets are mounted."""

from pathlib import Path

import pytest

from petsearch.domain.errors import ConfigurationError
from petsearch.settings import Settings, read_command_line


def test_a_file_gives_the_value_without_its_line_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("S3_SECRET_KEY", "REDIS_URL", "API_KEY"):
        (tmp_path / name).write_text(f"redis://:{name}@redis:6379/0\n")
        monkeypatch.setenv(f"PETSEARCH_{name}_FILE", str(tmp_path / name))
    settings = Settings.from_environment()
    assert settings.s3_secret_key.get_secret_value() == "redis://:S3_SECRET_KEY@redis:6379/0"
    assert settings.redis_url == "redis://:REDIS_URL@redis:6379/0"
    key = read_command_line().api_key.get_secret_value()
    assert key == "redis://:API_KEY@redis:6379/0"


@pytest.mark.parametrize("content", [None, b"\xff\xfe", b" \n"])
def test_a_file_that_gives_none_stops_the_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes | None
) -> None:
    file = tmp_path / "secret"
    if content is not None:
        file.write_bytes(content)
    monkeypatch.setenv("PETSEARCH_S3_SECRET_KEY_FILE", str(file))
    with pytest.raises(ConfigurationError, match=r"^PETSEARCH_S3_SECRET_KEY"):
        Settings.from_environment()


def test_a_value_is_given_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PETSEARCH_S3_SECRET_KEY", "a")
    monkeypatch.setenv("PETSEARCH_S3_SECRET_KEY_FILE", str(tmp_path))
    with pytest.raises(ConfigurationError, match="both set"):
        Settings.from_environment()


def test_a_name_that_is_set_to_nothing_is_not_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "secret").write_text("from the file")
    monkeypatch.setenv("PETSEARCH_S3_SECRET_KEY", "")  # as compose does with ${…:-}
    monkeypatch.setenv("PETSEARCH_S3_SECRET_KEY_FILE", str(tmp_path / "secret"))
    monkeypatch.setenv("PETSEARCH_S3_ACCESS_KEY", "from the environment")
    monkeypatch.setenv("PETSEARCH_S3_ACCESS_KEY_FILE", " ")
    settings = Settings.from_environment()
    assert settings.s3_secret_key.get_secret_value() == "from the file"
    assert settings.s3_access_key == "from the environment"


def test_no_other_setting_may_end_like_that(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PETSEARCH_SECRET_FILE", "/run/secrets/x")
    with pytest.raises(ConfigurationError, match="There is no setting PETSEARCH_SECRET_FILE"):
        Settings.from_environment()
