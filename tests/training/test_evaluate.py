"""Evaluating models on labelled photos: the sample on drawings, a small CLIP on real photos."""

import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import open_clip
import pytest
import torch
from PIL import Image

from petsearch.adapters.clip.model import OpenClipModel, load_model
from petsearch.calibration.resampling import Resampling
from petsearch.domain.errors import InvalidInput
from petsearch.domain.prompts import DEFAULT_TEMPLATES
from petsearch.sample.catalogue import HELD_OUT_SEED, catalogue
from petsearch.sample.kinds import KINDS
from tests import pictures
from tests.training.photo_sets import write_photo_set
from training.evaluation.embedding import embed_photos
from training.evaluation.evaluate import (
    EvaluationOptions,
    Progress,
    Result,
    evaluate,
    nameable,
    open_photos,
)
from training.evaluation.files import figure_rows, json_text, markdown, read_json
from training.evaluation.measurement import EvaluatedModel, PromptSet, measure
from training.evaluation.photos import load_split
from training.evaluation.report_html import report

SILENT = Progress(lambda _: None, lambda _: None)
DRAWINGS = 4 * len(KINDS)
UNKNOWN = ("dragon", "<b>unicorn</b>")


@pytest.fixture(scope="module")
def sample() -> OpenClipModel:
    return load_model("sample", device="cpu", precision="fp32")


@pytest.fixture(scope="module")
def drawings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four drawings of each kind; two classes that no model knows; one photo cut, one no photo."""
    drawn = list(catalogue(DRAWINGS, HELD_OUT_SEED))
    photos: list[bytes | None] = [drawing.to_jpeg() for drawing in drawn]
    labels = [drawing.kind for drawing in drawn]
    for name in UNKNOWN:
        photos += [pictures.jpeg(1), pictures.jpeg(2), pictures.jpeg(3)]
        labels += [name] * 3
    photos += [photos[0][:500] if photos[0] else None, pictures.HTML]
    labels += [labels[0], labels[1]]
    folder = tmp_path_factory.mktemp("drawings")
    return write_photo_set(folder, photos, labels, split="test", label_column="kind")


@pytest.fixture(scope="module")
def options(drawings: Path) -> EvaluationOptions:
    return EvaluationOptions(
        model="sample",
        baseline="sample",
        data=str(drawings),
        label_column="kind",
        resampling=Resampling(times=50),
    )


@pytest.fixture(scope="module")
def result(options: EvaluationOptions) -> Result:
    return evaluate(options, open_photos(options), SILENT)


def test_every_figure_says_how_it_was_measured(result: Result, drawings: Path) -> None:
    evaluation = result.evaluation
    assert evaluation.class_names == tuple(sorted(KINDS))
    keys = [figure.key for figure in evaluation.figures]
    for prompt in ("single", "ensemble"):
        assert f"classification.{prompt}.top1" in keys
        assert {f"text_to_image.{prompt}.{m}" for m in ("p1", "p5", "p10", "r10", "map")} <= {*keys}
    assert {"image_to_image.p1", "image_to_image.p10", "image_to_image.map"} <= {*keys}
    for figure in evaluation.figures:
        protocol = figure.protocol
        assert (protocol.data, protocol.split) == (drawings.name, "test")
        assert protocol.photos == DRAWINGS
        assert bool(protocol.templates) == (protocol.task != "image_to_image")
        assert figure.estimate.low <= figure.estimate.value <= figure.estimate.high
        assert figure.count == {"photos": DRAWINGS, "queries": figure.count}[figure.unit]
    assert evaluation.figure("text_to_image.single.map").count == len(KINDS)
    assert evaluation.figure("classification.single.top1").estimate.value > 0.9


def test_a_model_against_itself_differs_by_nothing(result: Result) -> None:
    for figure in result.evaluation.figures:
        assert figure.baseline == figure.estimate
        assert figure.difference is not None
        assert (figure.difference.low, figure.difference.high) == (0, 0)


def test_what_was_left_out_is_named_and_counted(result: Result) -> None:
    data = result.evaluation.data
    assert [photo.name for photo in data.skipped] == [f"n{DRAWINGS + 6}", f"n{DRAWINGS + 7}"]
    assert data.not_named == dict.fromkeys(sorted(UNKNOWN), 3)
    assert data.photos == DRAWINGS
    text = markdown(result.evaluation)
    assert f"- n{DRAWINGS + 6}: " in text
    assert "dragon (3)" in text


def test_classes_without_a_label_measure_forgetting(result: Result) -> None:
    forgetting = result.evaluation.forgetting
    assert "2 classes of this data set" in forgetting.what
    assert forgetting.figure is not None
    assert forgetting.figure.count == 6
    assert forgetting.figure.protocol.class_names == tuple(sorted(UNKNOWN))


def test_a_named_data_set_measures_forgetting(options: EvaluationOptions, tmp_path: Path) -> None:
    other = write_photo_set(tmp_path, [pictures.jpeg(n) for n in range(6)], [0, 1] * 3)
    asked = replace(options, baseline=None, forgetting=f"{other}#train")
    forgetting = evaluate(asked, open_photos(asked), SILENT).evaluation.forgetting
    assert forgetting.figure is not None
    assert forgetting.figure.protocol.data == other.name
    assert forgetting.figure.protocol.class_names == ("maine coon", "pug")


def test_breeds_and_confusions_agree_with_the_matrix(result: Result) -> None:
    evaluation = result.evaluation
    matrix = np.array(evaluation.confusion)
    assert matrix.sum() == DRAWINGS
    right = matrix.trace() / DRAWINGS
    assert evaluation.figure("classification.single.top1").estimate.value == pytest.approx(right)
    for place, row in enumerate(evaluation.breeds):
        assert row.photos == matrix[place].sum()
        assert row.recall == row.baseline_recall == matrix[place, place] / row.photos
    wrong = sum(confusion.count for confusion in evaluation.confusions)
    assert wrong == DRAWINGS - matrix.trace()
    counts = [len(photos) for photos in result.examples]
    assert counts == [min(4, confusion.count) for confusion in evaluation.confusions]


def test_confidences_are_binned_over_all_results(result: Result) -> None:
    held = result.evaluation.reliability
    assert [len(curve.bins) for curve in held.curves] == [10] * 4, held.not_fitted
    for curve in held.curves:
        assert sum(part.count for part in curve.bins) == curve.count
        shares = [part.share for part in curve.bins]
        assert shares == sorted(shares)
    assert held.curves[0].count == DRAWINGS


def test_json_is_read_back_and_names_no_path(result: Result, tmp_path: Path) -> None:
    path = tmp_path / "evaluation.json"
    path.write_text(json_text(result.evaluation))
    again = read_json(path)
    assert json_text(again) == json_text(result.evaluation)
    assert figure_rows(again) == figure_rows(result.evaluation)
    assert not re.findall(r'"/|\\\\|[a-z]:/', path.read_text())
    path.write_text(json.dumps({"model": "x"}))
    with pytest.raises(InvalidInput, match=r"evaluation\.json is not an evaluation"):
        read_json(path)


def test_the_report_is_one_file_and_escapes_names(result: Result) -> None:
    html = report(result.evaluation, result.examples)
    assert "<b>unicorn" not in html
    assert "&lt;b&gt;unicorn" in html
    assert set(re.findall(r'(?:src|href)="([^,"]*)', html)) <= {"data:image/jpeg;base64"}
    assert "<script" not in html
    assert "http" not in html.replace("http-equiv", "")


def test_a_class_whose_photos_are_all_broken_is_no_query(tmp_path: Path) -> None:
    kinds = sorted(KINDS)[:3]
    drawn = [d for d in catalogue(DRAWINGS, HELD_OUT_SEED) if d.kind in kinds[:2]]
    photos = [*(drawing.to_jpeg() for drawing in drawn), b"broken"]
    labels = [*(drawing.kind for drawing in drawn), kinds[2]]
    folder = write_photo_set(tmp_path, photos, labels, split="test")
    asked = EvaluationOptions("sample", str(folder), resampling=Resampling(times=5))
    evaluation = evaluate(asked, open_photos(asked), SILENT).evaluation
    assert evaluation.class_names == tuple(kinds[:2])
    assert [photo.name for photo in evaluation.data.skipped] == [f"n{len(drawn)}"]
    assert "fewer than four" not in str(evaluation.reliability.not_fitted)


def test_classes_that_no_label_names_are_refused(sample: OpenClipModel, tmp_path: Path) -> None:
    photos = [pictures.jpeg(n) for n in range(4)]
    folder = write_photo_set(tmp_path, photos, ["dragon", "ogre"] * 2)
    with pytest.raises(InvalidInput, match=r"can name 0 of the 2.*no label for: dragon, ogre"):
        nameable("sample", sample, load_split(str(folder), "train"))


def test_photos_of_which_none_decodes_are_refused(sample: OpenClipModel, tmp_path: Path) -> None:
    folder = write_photo_set(tmp_path, [pictures.HTML, b"", None], [0, 1, 1])
    with pytest.raises(InvalidInput, match="None of the 3 photos"):
        embed_photos(sample, load_split(str(folder), "train"))


def test_top1_is_open_clips_own_zero_shot_accuracy(shared: Path, pets_split: str) -> None:
    """On every ninth photo: open_clip's preprocessing, tokenizer and classifier beside ours."""
    folder = shared / "models/pets-base"
    photos = load_split(pets_split, "test")
    photos = photos.subset(np.arange(0, len(photos), 9))
    ours = load_model(f"dir:{folder}", device="cpu", precision="fp32")
    subject = EvaluatedModel(ours, embed_photos(ours, photos))
    measured = measure(subject, [PromptSet("single", DEFAULT_TEMPLATES)], "pets")

    theirs, _, preprocess = open_clip.create_model_and_transforms(f"local-dir:{folder}")
    theirs.eval()
    tokenizer = open_clip.get_tokenizer(f"local-dir:{folder}")
    classifier = open_clip.build_zero_shot_classifier(
        theirs, tokenizer, photos.class_names, [DEFAULT_TEMPLATES[0].replace("{}", "{0}").format]
    )
    right = _zero_shot(theirs, classifier, preprocess, photos)
    statistic = measured["classification.single.top1"].statistic
    assert statistic.at(np.arange(statistic.count)) == pytest.approx(right, abs=1e-3)


@torch.inference_mode()
def _zero_shot(
    model: Any, classifier: torch.Tensor, preprocess: Callable[[Image.Image], Any], photos: Any
) -> float:
    right = 0
    for start in range(0, len(photos), 32):
        batch = range(start, min(start + 32, len(photos)))
        pixels = torch.stack([preprocess(photos.picture(index)) for index in batch])
        features = torch.nn.functional.normalize(model.encode_image(pixels), dim=-1)
        predicted = (features @ classifier).argmax(dim=1).numpy()
        right += int((predicted == photos.labels[batch.start : batch.stop]).sum())
    return right / len(photos)
