"""Every setting of the documentation, misspelt, empty, with a Windows line end or a wrong type."""

import json
import logging
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from petsearch.domain.errors import ConfigurationError
from petsearch.settings import TABLE, Settings, read_command_line, set_values, start_logging
from tests.tools.settings_page import PAGE, page

ROOT = Path(__file__).parents[2]
DOCUMENTS = [
    ROOT / "README.md",
    ROOT / "ARCHITECTURE.md",
    *sorted((ROOT / "docs").glob("*.md")),
    *sorted((ROOT / "infra").rglob("*.md")),
    ROOT / ".env.example",
]
NAMES = sorted(
    {
        name
        for document in DOCUMENTS
        for name in re.findall(r"PETSEARCH_[A-Z0-9_]*[A-Z0-9]\b(?!_)", document.read_text("utf-8"))
    }
)
READ = [name for name in NAMES if TABLE[name].section.reader in ("server", "command line")]
FREE_TEXT = {
    "PETSEARCH_API_KEY",
    "PETSEARCH_MODEL_CACHE",
    "PETSEARCH_S3_ACCESS_KEY",
    "PETSEARCH_S3_SECRET_KEY",
    "PETSEARCH_QDRANT_API_KEY",
}
CHECKED_WHEN_OPENED = {
    "PETSEARCH_EMBEDDER_URL",
    "PETSEARCH_INDEX_URL",
    "PETSEARCH_MODEL",
    "PETSEARCH_REDIS_URL",
    "PETSEARCH_STORE_URL",
}
"""Tried in tests/e2e/test_settings_of_processes.py."""


@pytest.fixture(autouse=True)
def nothing_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in TABLE:
        monkeypatch.delenv(name, raising=False)


def test_the_page_is_made_from_the_table() -> None:
    assert PAGE.read_text("utf-8") == page(), "run: python -m tests.tools.settings_page"
    assert set(NAMES) == set(TABLE)


def test_compose_files_and_kubernetes_use_names_of_the_table() -> None:
    for file in (*ROOT.glob("docker-compose*.yml"), *(ROOT / "infra").rglob("*.y*ml")):
        used = set(re.findall(r"PETSEARCH_[A-Z0-9_]*[A-Z0-9]\b(?!_)", file.read_text("utf-8")))
        assert used <= set(TABLE), file


def test_the_base_compose_file_sets_nothing_to_nothing() -> None:
    services = yaml.safe_load((ROOT / "docker-compose.yml").read_text("utf-8"))["services"]
    for name, service in services.items():
        for variable, value in service.get("environment", {}).items():
            if variable in TABLE and not TABLE[variable].may_be_empty:
                assert not str(value).endswith(":-}"), (name, variable)


@pytest.mark.parametrize("name", NAMES)
def test_a_misspelt_name_is_told_with_the_one_that_was_meant(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    for misspelt in (f"{name}X", name[:-2] + name[:-3:-1], name.lower()):
        if misspelt == name:
            continue
        monkeypatch.setenv(misspelt, "1")
        with pytest.raises(ConfigurationError) as raised:
            Settings.from_environment()
        sentence = raised.value.detail
        assert sentence.startswith(f"There is no setting {misspelt} (did you mean {name}?).")
        assert "PETSEARCH_IGNORE_UNKNOWN_SETTINGS=1" in sentence
        monkeypatch.delenv(misspelt)


@pytest.mark.parametrize("nothing", ["", "\r", " \t"])
@pytest.mark.parametrize("name", NAMES)
def test_set_to_nothing_is_unset_except_for_secrets_and_access(
    monkeypatch: pytest.MonkeyPatch, name: str, nothing: str
) -> None:
    monkeypatch.setenv(name, nothing)
    if TABLE[name].may_be_empty:
        assert Settings.from_environment() == Settings()
    else:
        with pytest.raises(ConfigurationError, match=f"^{name} is set to nothing.*Unset it"):
            Settings.from_environment()


def test_what_must_not_be_empty() -> None:
    assert {name for name, variable in TABLE.items() if not variable.may_be_empty} == {
        "PETSEARCH_ALLOWED_HOSTS",
        "PETSEARCH_ALLOW_NO_KEYS",
        "PETSEARCH_ANONYMOUS_REQUESTS_PER_MINUTE",
        "PETSEARCH_ANONYMOUS_SEARCH",
        "PETSEARCH_API_KEY",
        "PETSEARCH_CORS_ORIGINS",
        "PETSEARCH_FRAME_ANCESTORS",
        "PETSEARCH_KEY_REQUESTS_PER_MINUTE",
        "PETSEARCH_QDRANT_API_KEY",
        "PETSEARCH_S3_ACCESS_KEY",
        "PETSEARCH_S3_SECRET_KEY",
        "PETSEARCH_TRUSTED_PROXIES",
    }


def default_of(name: str) -> str:
    default: Any = TABLE[name].info.default
    if isinstance(default, bool | tuple):
        return json.dumps(default)
    if name == "PETSEARCH_FRAME_ANCESTORS":
        return "https://a.example https://b.example"
    return str(default) if name not in FREE_TEXT and str(default) else "a value"


@pytest.mark.parametrize("name", READ)
def test_line_ends_and_spaces_around_a_value_do_no_harm(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    value = default_of(name)
    monkeypatch.setenv(name, value)
    clean = Settings.from_environment(), read_command_line()
    for written in (f"{value}\r", f" {value} ", f"{value}\r\n"):
        monkeypatch.setenv(name, written)
        assert (Settings.from_environment(), read_command_line()) == clean
        assert set_values({name: written}) == {name: value}


@pytest.mark.parametrize("name", sorted(set(READ) - FREE_TEXT - CHECKED_WHEN_OPENED))
def test_a_wrong_type_is_told_by_the_name_as_it_was_written(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv(name, "man y")
    with pytest.raises(ConfigurationError) as raised:
        Settings.from_environment()
        read_command_line()
    sentence = raised.value.detail
    assert re.match(rf"{name} is 'man y': it should be .*\.$", sentence)
    assert "\n" not in sentence
    if TABLE[name].takes_list:
        assert sentence.endswith('a JSON list, such as ["man y"].')


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("PETSEARCH_LIMIT_PHOTOS_PER_REQUEST", "65", "it should be less than or equal to 64"),
        ("PETSEARCH_METRICS_PORT", "-1", "it should be greater than or equal to 0"),
        ("PETSEARCH_TRUSTED_PROXIES", '["10.0.0.0/33"]', "not a valid IPv4 or IPv6 network"),
        ("PETSEARCH_ALLOWED_HOSTS", "a.example, b.example", 'such as ["a.example", "b.example"]'),
        ("PETSEARCH_IMPORT_DIRS", '"/srv"', 'such as ["/srv"]'),
        ("PETSEARCH_PRECISION", "fp64", "it should be 'auto', 'fp32', 'bf16' or 'fp16'"),
    ],
)
def test_a_value_out_of_range_is_told(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, words: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(ConfigurationError) as raised:
        Settings.from_environment()
    assert raised.value.detail.startswith(f"{name} is {value!r}: ")
    assert words in raised.value.detail


@pytest.mark.parametrize(
    "name", sorted({"PETSEARCH_API", *CHECKED_WHEN_OPENED} - {"PETSEARCH_MODEL"})
)
def test_what_is_no_address_is_told_without_its_password(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    for address in ("http://me:secret@host:port/x", "http://:80", "http://a:1,http://me:secret@:2"):
        monkeypatch.setenv(name, address)
        with pytest.raises(ConfigurationError, match=f"^{name} is .*: it should be the address"):
            Settings.from_environment()
            read_command_line()
    for whole in ("redis://:a,b@host:6379/0", "http://a:1, http://b:2,", "local:/x", "file:/a,b"):
        if name != "PETSEARCH_API":
            monkeypatch.setenv(name, whole)
            Settings.from_environment()


def test_settings_of_a_newer_version_pass_with_a_switch_and_are_logged(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PETSEARCH_INVENTED_LATER", "5")
    with pytest.raises(ConfigurationError, match="There is no setting PETSEARCH_INVENTED_LATER"):
        start_logging()
    monkeypatch.setenv("PETSEARCH_IGNORE_UNKNOWN_SETTINGS", "1")
    handlers, level = logging.root.handlers[:], logging.root.level
    try:
        start_logging()
    finally:
        logging.root.handlers[:] = handlers
        logging.root.setLevel(level)
    assert "PETSEARCH_INVENTED_LATER" in capsys.readouterr().err


def test_addresses_that_kubernetes_gives_a_service_named_petsearch_are_none_of_ours(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, value in {
        "PETSEARCH_SERVICE_HOST": "10.0.0.9",
        "PETSEARCH_API_SERVICE_PORT_HTTP": "8000",
        "PETSEARCH_API_PORT": "tcp://10.0.0.9:8000",
        "PETSEARCH_API_PORT_8000_TCP_ADDR": "10.0.0.9",
    }.items():
        monkeypatch.setenv(name, value)
    Settings.from_environment()
    monkeypatch.setenv("PETSEARCH_METRIC_PORT", "9100")
    with pytest.raises(ConfigurationError, match="did you mean PETSEARCH_METRICS_PORT"):
        Settings.from_environment()
