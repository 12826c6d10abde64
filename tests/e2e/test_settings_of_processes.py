"""What each process says of a setting that is wrong: one sentence, no traceback, exit code 1."""

import json
import os
import sys
from pathlib import Path

import pytest

from tests.programs import run

PROCESSES = {
    "serve": ("petsearch", "serve", "--data-dir", "data", "--port", "0", "--model", "sample"),
    "search": ("petsearch", "search", "cat"),
    "keys": ("petsearch", "keys", "list", "--data-dir", "data"),
    "api": ("uvicorn", "--factory", "services.api.main:create_app"),
    "embedder": ("uvicorn", "--factory", "services.embedder.main:create_app"),
    "worker": ("services.worker.main",),
    "ping": ("services.worker.ping",),
}
STANDALONE = {
    "PETSEARCH_EMBEDDER_URL": "local:",
    "PETSEARCH_INDEX_URL": "edge:index",
    "PETSEARCH_STORE_URL": "file:objects",
    "PETSEARCH_REDIS_URL": "local:redis",
    "PETSEARCH_MODEL": "sample",
    "PETSEARCH_ALLOW_NO_KEYS": "1",
}


def said(process: str, env: dict[str, str]) -> str:
    """The one line that a process ends with."""
    command = [sys.executable, "-m", *PROCESSES[process]]
    ended = run(command, timeout_s=120, env={**os.environ, **env})
    assert ended.returncode == 1, ended.stderr
    assert "Traceback" not in ended.stderr
    assert ended.stdout == ""
    (line,) = ended.stderr.strip().splitlines()
    return line


@pytest.mark.parametrize("process", PROCESSES)
def test_each_process_refuses_a_setting_that_does_not_exist(
    process: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    line = said(process, {"PETSEARCH_ALLOWED_HOST": '["pets.example"]'})
    assert line.startswith(
        "Error: There is no setting PETSEARCH_ALLOWED_HOST (did you mean PETSEARCH_ALLOWED_HOSTS?)."
    )


@pytest.mark.parametrize("process", ["api", "embedder", "worker"])
def test_where_the_log_is_json_so_is_the_reason_for_not_starting(
    process: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    line = said(process, {"PETSEARCH_LOG_JSON": "1", "PETSEARCH_METRICS_PORT": "-1"})
    reason = json.loads(line)["reason"]
    assert reason.startswith("PETSEARCH_METRICS_PORT is '-1'")


@pytest.mark.parametrize("process", ["serve", "search", "api", "embedder", "worker"])
def test_each_process_names_a_bad_value_as_it_was_written(
    process: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    line = said(process, {"PETSEARCH_LIMIT_IMAGE_BYTES": "many"})
    assert line == "Error: PETSEARCH_LIMIT_IMAGE_BYTES is 'many': it should be a valid integer."


@pytest.mark.parametrize(
    "name",
    [
        "PETSEARCH_EMBEDDER_URL",
        "PETSEARCH_INDEX_URL",
        "PETSEARCH_MODEL",
        "PETSEARCH_REDIS_URL",
        "PETSEARCH_STORE_URL",
    ],
)
def test_an_address_of_no_known_kind_is_named(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    line = said("worker", {**STANDALONE, name: "nonsense"})
    assert line.startswith(f"Error: {name} ")
    assert "is 'nonsense'" in line
