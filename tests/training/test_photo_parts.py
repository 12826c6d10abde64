"""Parts of a fine-tune on photos: loss, schedule, views, split, interpolation, off-topic texts."""

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import open_clip
import pytest
import torch
from torch import nn

from petsearch.adapters.clip import resolve_model
from petsearch.adapters.clip.model import load_model
from petsearch.domain import PixelSpec
from petsearch.domain.errors import InvalidInput
from petsearch.sample.catalogue import MODEL_DIR
from tests.training.photo_runs import photo_config
from training.clip.base_model import load_base
from training.clip.losses import class_loss, ranking_loss
from training.finetuning.augmentation import ViewSampler
from training.finetuning.interpolation import choose_interpolation
from training.finetuning.off_topic_texts import OffTopicTexts
from training.finetuning.prefix_cache import fill_prefix_cache
from training.finetuning.split import split_photos
from training.finetuning.validation import ValidationFigures
from training.runs.schedule import share_of_rate

_SPEC = PixelSpec(48, 48, "shortest", "bicubic", 0)


def test_the_class_loss_equals_its_plain_twin() -> None:
    generator = torch.Generator().manual_seed(0)
    images, classes = (torch.randn(n, 4, generator=generator) for n in (5, 3))
    labels, smoothing = [0, 2, 1, 1, 0], 0.2
    each = []
    for image, label in zip(images.tolist(), labels, strict=True):
        logits = [7.0 * sum(a * b for a, b in zip(image, c, strict=True)) for c in classes.tolist()]
        total = math.log(sum(math.exp(x) for x in logits))
        hit, mean = total - logits[label], total - sum(logits) / len(logits)
        each.append((1 - smoothing) * hit + smoothing * mean)
    loss = class_loss(images, classes, torch.tensor(labels), torch.tensor(7.0), smoothing)
    assert float(loss) == pytest.approx(sum(each) / len(each), rel=1e-5)


def test_the_ranking_loss_equals_its_plain_twin() -> None:
    generator = torch.Generator().manual_seed(0)
    images, classes = (torch.randn(n, 4, generator=generator) for n in (5, 4))
    labels = [0, 2, 1, 1, 0]
    rows = []
    for number, text in enumerate(classes.tolist()):
        scores = [sum(a * b for a, b in zip(text, i, strict=True)) for i in images.tolist()]
        others = sum(
            math.exp(x) for x, label in zip(scores, labels, strict=True) if label != number
        )
        hits = [x for x, label in zip(scores, labels, strict=True) if label == number]
        each = [-math.log(math.exp(x) / (math.exp(x) + others)) for x in hits]
        # No photo shows class 3: it adds nothing.
        rows += [sum(each) / len(each)] if each else []
    loss = ranking_loss(images, classes, torch.tensor(labels), torch.tensor(1.0))
    assert float(loss) == pytest.approx(sum(rows) / 3, rel=1e-5)


def test_the_rate_rises_in_the_warm_up_and_falls_to_nearly_nothing() -> None:
    shares = [share_of_rate(step, 100, 10) for step in range(100)]
    assert shares[:10] == pytest.approx([step / 10 for step in range(1, 11)])
    assert shares[10:] == sorted(shares[10:], reverse=True)
    assert shares[-1] < 0.001
    assert share_of_rate(0, 1, 0) == 1


def test_a_view_follows_from_its_number_and_differs_from_the_others() -> None:
    picture = np.random.default_rng(0).integers(0, 256, (60, 90, 3), dtype=np.uint8)
    views = ViewSampler(photo_config().augmentation, _SPEC, seed=1)
    again = ViewSampler(photo_config().augmentation, _SPEC, seed=1)
    first = views.view(picture, 3, 0)
    assert first.shape == (3, 48, 48)
    assert first.dtype == torch.uint8
    assert torch.equal(first, again.view(picture, 3, 0))
    others = (views.view(picture, 3, 1), views.view(picture, 4, 0))
    assert not any(torch.equal(first, other) for other in others)
    assert not torch.equal(
        first, ViewSampler(photo_config().augmentation, _SPEC, 2).view(picture, 3, 0)
    )


@pytest.mark.parametrize("shape", [(400, 9, 3), (9, 400, 3), (1, 1, 3)])
def test_extreme_photos_have_views_too(shape: tuple[int, int, int]) -> None:
    picture = np.zeros(shape, np.uint8)
    views = ViewSampler(photo_config().augmentation, _SPEC, seed=1)
    assert views.view(picture, 0, 0).shape == (3, 48, 48)


def test_validation_takes_its_share_of_each_class_and_leaves_one_to_train_on() -> None:
    labels = np.array([0] * 20 + [1] * 2 + [2] * 10)
    split = split_photos(labels, 0.3, 0, ("cat", "dog", "rabbit"))
    assert sorted([*split.train, *split.validation]) == list(range(32))
    assert np.bincount(labels[split.validation]).tolist() == [6, 1, 3]
    again = split_photos(labels, 0.3, 0, ("cat", "dog", "rabbit"))
    assert again.validation.tolist() == split.validation.tolist()
    assert split_photos(labels, 1.0, 0, ("cat", "dog", "rabbit")).train.size == 3


@pytest.mark.parametrize(("labels", "count"), [([0, 0, 2, 2], 0), ([0, 0, 1, 2, 2], 1)])
def test_a_class_that_cannot_be_split_is_named(labels: list[int], count: int) -> None:
    with pytest.raises(InvalidInput, match=f"'dog' needs at least two.*it has {count}"):
        split_photos(np.array(labels), 0.3, 0, ("cat", "dog", "rabbit"))


def test_interpolation_keeps_the_share_with_the_best_top_1_then_the_lowest_loss() -> None:
    module = nn.Linear(1, 1, bias=False)
    scored = {0.0: (0.5, 1.0), 0.5: (0.9, 0.3), 0.75: (0.9, 0.2), 1.0: (0.7, 0.1)}

    def validate() -> ValidationFigures:
        top1, loss = scored[module.weight.item()]
        return ValidationFigures(loss, top1, 1.0, 1.0)

    chosen = choose_interpolation(
        module,
        {"weight": torch.zeros(1, 1)},
        {"weight": torch.ones(1, 1)},
        tuple(scored),
        validate,
    )
    assert chosen.share == 0.75
    assert module.weight.item() == 0.75
    assert [share for share, _ in chosen.tried] == sorted(scored)


def test_off_topic_texts_name_no_class_and_follow_from_the_step() -> None:
    config = photo_config().loss
    texts = OffTopicTexts(config, ["great pyrenees", "boxer"], ["a photo of a {}."], seed=0)
    drawn = texts.draw(400, step=3)
    assert drawn == texts.draw(400, step=3)
    assert drawn != texts.draw(400, step=4)
    words = {word.strip(".") for text in drawn for word in text.split()}
    assert not words & {"boxer", "boxers", "great", "pyrenees", "dog", "cat", "pet"}
    assert len(words) > 300


def test_a_filled_cache_is_mapped_and_not_computed_again(tmp_path: Path) -> None:
    rows = torch.arange(12.0).reshape(4, 3)
    calls: list[int] = []

    def batches(view: int) -> list[tuple[np.ndarray, torch.Tensor]]:
        calls.append(view)
        return [(np.array([0, 1]), rows[:2] + view), (np.array([2, 3]), rows[2:] + view)]

    for _ in range(2):
        cache = fill_prefix_cache(tmp_path, photos=4, views=2, dtype="float16", batches=batches)
        assert torch.equal(cache.rows(np.array([3, 0]), 1), rows[[3, 0]] + 1)
    assert calls == [0, 1]


def test_a_base_folder_keeps_its_configuration_but_for_the_image_size() -> None:
    base = load_base(f"dir:{MODEL_DIR}")
    assert base.config["model_cfg"]["vision_cfg"]["image_size"] == base.pixel_spec.width
    assert base.species["tabby"] == "cat"


def test_a_larger_image_size_reaches_the_written_configuration(shared: Path) -> None:
    base = load_base(f"dir:{shared / 'models/pets-base'}", image_size=256)
    assert base.pixel_spec.width == base.pixel_spec.height == 256
    assert base.config["model_cfg"]["vision_cfg"]["image_size"] == 256


def test_weights_that_were_trained_with_quick_gelu_are_loaded_with_it() -> None:
    # open_clip itself only warns, and computes something else.
    assert open_clip.get_pretrained_cfg("ViT-B-32", "openai")["quick_gelu"]
    source = resolve_model("sample")
    plain, quick = (
        load_model(replace(source, quick_gelu=wanted), device="cpu") for wanted in (False, True)
    )
    tokens = plain.tokenise(["a tabby cat"])
    assert np.abs(plain.encode_tokens(tokens) - quick.encode_tokens(tokens)).max() > 1e-4
