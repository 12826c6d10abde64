"""Training: configuration, losses, and one smoke run whose output open_clip loads."""

import json
import math
import random
import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import open_clip
import pytest
import torch

from petsearch.domain.errors import ConfigurationError
from petsearch.sample.captions import any_text, describes, facts_of, vocabulary
from petsearch.sample.catalogue import attributes_at
from training.clip.losses import background_loss, multi_positive_loss
from training.drawings.config import DrawingsConfig, read_config
from training.drawings.data import augmented, background_words, relevance
from training.drawings.training import train_from_scratch
from training.runs.config_file import validated

_CONFIGS = Path(__file__).parents[2] / "training" / "configs"
_SMOKE = _CONFIGS / "smoke-sample.toml"


@pytest.fixture(scope="module")
def smoke_run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[float]]:
    out = tmp_path_factory.mktemp("model")
    losses: list[float] = []
    ticks = iter(range(100))
    train_from_scratch(
        read_config(_SMOKE),
        out,
        lambda: float(next(ticks)),
        "abc123",
        lambda _, loss: losses.append(loss),
    )
    return out, losses


def test_the_loss_falls(smoke_run: tuple[Path, list[float]]) -> None:
    losses = smoke_run[1]
    assert len(losses) == 12
    assert np.mean(losses[-3:]) < np.mean(losses[:3]) - 0.2


def test_open_clip_loads_the_result_and_encodes_with_it(
    smoke_run: tuple[Path, list[float]],
) -> None:
    name = f"local-dir:{smoke_run[0]}"
    model, _, preprocess = open_clip.create_model_and_transforms(name)
    tokens = open_clip.get_tokenizer(name)(["a tabby cat"])
    assert tokens.shape == (1, 32)
    with torch.inference_mode():
        text = model.eval().encode_text(tokens)
        image = model.encode_image(torch.zeros(1, 3, 64, 64))
    assert text.shape == image.shape == (1, 32)
    assert preprocess is not None


def test_config_commit_seed_and_metrics_are_beside_the_result(
    smoke_run: tuple[Path, list[float]],
) -> None:
    record: dict[str, Any] = json.loads((smoke_run[0] / "metrics.json").read_text())
    assert record["provenance"]["commit"] == "abc123"
    assert record["provenance"]["seed"] == 0
    assert record["provenance"]["training_s"] == 1.0
    assert record["config"]["model"]["image_size"] == 64
    assert 0 <= record["figures"]["kind_top1"] <= 1
    card = (smoke_run[0] / "MODEL_CARD.md").read_text()
    assert f"{record['figures']['mean_precision_at_5']:.3f}" in card


def test_the_same_seed_trains_the_same_weights(
    smoke_run: tuple[Path, list[float]], tmp_path: Path
) -> None:
    config = read_config(_SMOKE)
    again: list[float] = []
    train_from_scratch(config, tmp_path, lambda: 0.0, None, lambda _, loss: again.append(loss))
    assert again == pytest.approx(smoke_run[1], rel=1e-4)


def _smoke() -> dict[str, Any]:
    return tomllib.loads(_SMOKE.read_text())


def test_an_unknown_key_is_rejected_with_the_file_and_the_accepted_keys() -> None:
    tables = _smoke()
    tables["optimisation"]["learning_rte"] = 1.0
    message = (
        r"my\.toml: optimisation\.learning_rte is not a known key\. "
        r"Accepted keys: seed, steps, batch_size, learning_rate,"
    )
    with pytest.raises(ConfigurationError, match=message):
        validated(DrawingsConfig, tables, Path("my.toml"))


def test_a_missing_table_is_rejected() -> None:
    tables = _smoke()
    del tables["data"]
    message = r"data is missing\. Accepted keys: model, data, optimisation, evaluation\."
    with pytest.raises(ConfigurationError, match=message):
        validated(DrawingsConfig, tables, Path("my.toml"))


@pytest.mark.parametrize(
    ("key", "value"),
    [("seed", -1), ("steps", 0), ("learning_rate", -1e-3), ("background_texts", 0)],
)
def test_a_value_outside_its_range_is_rejected(key: str, value: float) -> None:
    tables = _smoke()
    tables["optimisation"][key] = value
    with pytest.raises(ConfigurationError, match=rf"optimisation\.{key} is {value}: .* than "):
        validated(DrawingsConfig, tables, Path("my.toml"))


@pytest.mark.parametrize("value", ["12", True, 1.5])
def test_a_value_of_the_wrong_type_is_rejected(value: object) -> None:
    tables = _smoke()
    tables["optimisation"]["steps"] = value
    with pytest.raises(
        ConfigurationError, match=r"optimisation\.steps is .*: Input should be a valid integer"
    ):
        validated(DrawingsConfig, tables, Path("my.toml"))


def test_an_unreadable_file_is_rejected(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"none\.toml cannot be read as TOML"):
        read_config(tmp_path / "none.toml")


def test_the_sample_configuration_holds_out_words_that_it_does_not_train_on() -> None:
    data = read_config(_CONFIGS / "sample.toml").data
    trained = {word for text in data.off_topic for word in text.split()}
    kept_away = {word for text in data.off_topic_held_out for word in text.split()}
    assert kept_away & trained <= {"a", "of"}
    words = background_words(open_clip.SimpleTokenizer().encoder, data.off_topic_held_out)
    assert len(words) > 10_000
    assert not set(words) & (kept_away | vocabulary())


def test_multi_positive_loss_equals_its_plain_twin() -> None:
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(5, 7, generator=generator)
    relevant = torch.rand(5, 7, generator=generator) < 0.4
    relevant[0] = False
    relevant[1:, 0] = True
    rows = []
    for row, held in zip(logits.tolist(), relevant.tolist(), strict=True):
        negatives = sum(math.exp(x) for x, yes in zip(row, held, strict=True) if not yes)
        hits = [x for x, yes in zip(row, held, strict=True) if yes]
        if hits:
            each = [-math.log(math.exp(x) / (math.exp(x) + negatives)) for x in hits]
            rows.append(sum(each) / len(hits))
    expected = sum(rows) / len(rows)
    assert float(multi_positive_loss(logits, relevant)) == pytest.approx(expected, rel=1e-5)


def test_background_loss_falls_when_off_topic_texts_move_away() -> None:
    on_topic, relevant = torch.full((2, 2), 0.6), torch.eye(2, dtype=torch.bool)
    near = background_loss(torch.full((3, 2), 0.5), on_topic, relevant)
    far = background_loss(torch.full((3, 2), -0.5), on_topic, relevant)
    assert far < near - 0.3


def test_relevance_equals_describes() -> None:
    rng = random.Random(3)
    shown = [attributes_at(number, 1) for number in range(40)]
    texts = [any_text(attributes, rng) for attributes in shown]
    facts = [facts_of(attributes) for attributes in shown]
    expected = [[describes(text.facts, held) for held in facts] for text in texts]
    assert relevance(texts, facts).tolist() == expected


def test_augmented_images_keep_their_range_and_shape() -> None:
    pixels = torch.randint(0, 256, (4, 3, 72, 72), dtype=torch.uint8)
    images = augmented(pixels, 64, random.Random(0))
    assert images.shape == (4, 3, 64, 64)
    assert images.min() >= -1
    assert images.max() <= 1
    assert not torch.equal(images, augmented(pixels, 64, random.Random(1)))
