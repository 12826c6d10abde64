"""Where a model comes from, and what is said when it cannot be had."""

import json
import shutil
from pathlib import Path

import pytest
from huggingface_hub import constants

from petsearch.adapters.clip import resolve_model
from petsearch.adapters.clip.library import open_clip
from petsearch.domain.errors import ConfigurationError
from petsearch.models.open_clip_config import check_config
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


def configured(folder: Path, changes: dict[str, dict[str, object]]) -> Path:
    """The sample with changes to parts of its configuration."""
    shutil.copytree(MODEL_DIR, folder, dirs_exist_ok=True)
    file = folder / "open_clip_config.json"
    config = json.loads(file.read_text())
    for part, values in changes.items():
        whole = config
        for name in part.split("."):
            whole = whole.setdefault(name, {}) if name else whole
        whole.update(values)
    file.write_text(json.dumps(config))
    return folder


@pytest.mark.parametrize(
    ("part", "values", "words"),
    [
        ("model_cfg.text_cfg", {"tokenizer_kwargs": {"trust_remote_code": True}}, "trust_remote"),
        ("model_cfg.text_cfg", {"tokenizer_kwargs": {"bpe_path": "/etc/passwd"}}, "bpe_path"),
        ("model_cfg.text_cfg", {"tokenizer_kwargs": "clean"}, "not an object"),
        ("model_cfg.text_cfg", {"hf_model_name": "someone/model"}, "hf_model_name"),
        ("model_cfg.text_cfg", {"hf_tokenizer_name": "https://a.org"}, "hf_tokenizer_name"),
        ("model_cfg.vision_cfg", {"timm_model_name": "hf-hub:someone/model"}, "timm_model_name"),
        ("model_cfg.vision_cfg", {"timm_model_name": "local-dir:/etc"}, "timm_model_name"),
        ("model_cfg.vision_cfg", {"timm_model_name": "someone/model"}, "timm_model_name"),
        ("model_cfg.vision_cfg", {"timm_model_pretrained": True}, "timm_model_pretrained"),
        ("model_cfg.vision_cfg", {"act_kwargs": {"a": {"b": "c"}}}, "act_kwargs"),
        ("model_cfg", {"vision_cfg": None}, "not an object"),
        ("model_cfg", {"trust_remote_code": True}, "trust_remote_code"),
        ("", {"pretrained": "hf-hub:someone/model"}, "pretrained"),
    ],
)
def test_a_folder_cannot_fetch_or_run_what_is_elsewhere(
    tmp_path: Path, part: str, values: dict[str, object], words: str
) -> None:
    folder = configured(tmp_path / "mine", {part: values})
    with pytest.raises(ConfigurationError, match=words):
        resolve_model(f"dir:{folder}")


def test_a_folder_of_open_clip_is_accepted(tmp_path: Path) -> None:
    text: dict[str, object] = {
        "hf_tokenizer_name": "timm/ViT-B-16-SigLIP",
        "tokenizer_kwargs": {"clean": "canonicalize"},
        "norm_kwargs": {"eps": 1e-6},
    }
    vision: dict[str, object] = {
        "timm_model_name": "vit_base_patch16_siglip_224",
        "timm_model_pretrained": False,
    }
    changes = {"model_cfg.text_cfg": text, "model_cfg.vision_cfg": vision}
    assert resolve_model(f"dir:{configured(tmp_path / 'mine', changes)}").name == "mine"


def test_every_architecture_of_open_clip_is_accepted_but_those_of_hub_texts(tmp_path: Path) -> None:
    file = tmp_path / "open_clip_config.json"
    for name in open_clip.list_models():
        config = open_clip.get_model_config(name)
        assert config is not None
        file.write_text(json.dumps({"model_cfg": config}))
        if "hf_model_name" in config["text_cfg"]:
            with pytest.raises(ConfigurationError, match="hf_model_name"):
                check_config(file)
            continue
        if config["vision_cfg"].get("timm_model_pretrained"):
            config["vision_cfg"]["timm_model_pretrained"] = False
            file.write_text(json.dumps({"model_cfg": config}))
        check_config(file)


@pytest.mark.parametrize("text", ["[]", "{", "null", "[" * 100_000])
def test_a_configuration_that_is_no_object_is_said(tmp_path: Path, text: str) -> None:
    folder = configured(tmp_path / "mine", {})
    (folder / "open_clip_config.json").write_text(text)
    with pytest.raises(ConfigurationError, match=r"open_clip_config\.json"):
        resolve_model(f"dir:{folder}")


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
        resolve_model("hub:ViT-B-32/laion2b_s34b_b79k")
    assert not constants.is_offline_mode(), "The hub may answer the next call of this process."
