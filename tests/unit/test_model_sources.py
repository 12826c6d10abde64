"""Where a model comes from, and what is said when it cannot be had."""

import shutil
from pathlib import Path

import pytest
from huggingface_hub import constants

from petsearch.adapters.clip import resolve_model
from petsearch.domain.errors import ConfigurationError
from petsearch.sample.catalogue import MODEL_DIR

WEIGHTS = "open_clip_model.safetensors"


def test_the_sample_is_a_folder_of_this_package() -> None:
    source = resolve_model("sample")
    assert (source.spec, source.name) == ("sample", "sample")
    assert source.labels_file == MODEL_DIR / "labels.json"


def test_a_folder_is_named_by_its_absolute_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(MODEL_DIR, tmp_path / "mine")
    monkeypatch.chdir(tmp_path)
    source = resolve_model("dir:mine")
    assert source.spec == f"dir:{tmp_path / 'mine'}"
    assert source.model_id().startswith("mine-")


def test_other_weights_are_another_model(tmp_path: Path) -> None:
    shutil.copytree(MODEL_DIR, tmp_path / "mine")
    before = resolve_model(f"dir:{tmp_path / 'mine'}").model_id()
    with (tmp_path / "mine" / WEIGHTS).open("ab") as file:
        file.write(b"\0")
    assert resolve_model(f"dir:{tmp_path / 'mine'}").model_id() != before


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ("clip", "hub:<arch>/<tag>"),
        ("dir:", "dir:<open_clip folder>"),
        ("dir:/nowhere", "open_clip_config.json is missing"),
        ("dir:a\0b", "no folder to read"),
        ("dir:" + "a" * 600, "no folder to read"),
        ("dir:~nobody-of-this-name/model", "no folder to read"),
        ("hub:ViT-B-32/nonsense", "Accepted: .*openai"),
        ("hub:ViT-B-32", "Accepted: .*openai"),
        ("hub:no-such-model/openai", "Unknown model architecture"),
    ],
    ids=lambda value: ascii(value)[:30],
)
def test_what_is_no_model_is_said_with_what_is_accepted(spec: str, words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        resolve_model(spec)


@pytest.mark.timeout(30)
def test_a_hub_that_does_not_answer_is_said_in_seconds(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    with pytest.raises(ConfigurationError, match=r"hub does not answer.*--model sample"):
        resolve_model("hub:ViT-B-32/openai")
    assert not constants.is_offline_mode(), "The hub may answer the next call of this process."
