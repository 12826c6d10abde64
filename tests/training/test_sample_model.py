"""The bundled model: small, loadable with no network, and good enough at held-out drawings."""

import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest

from petsearch.adapters.clip.model import OpenClipModel, load_model
from petsearch.domain import Embeddings
from petsearch.sample.captions import facts_of
from petsearch.sample.catalogue import DEMO_SEED, MODEL_DIR, Drawing, catalogue
from petsearch.sample.kinds import KINDS
from training.drawings.config import SAMPLE_CONFIG, read_config
from training.drawings.drawn_photos import drawn_photos
from training.drawings.evaluate import DrawingsEvaluation, evaluate
from training.evaluation.embedding import embed_photos, embed_texts


@pytest.fixture(scope="module")
def model() -> OpenClipModel:
    return load_model("sample", device="cpu")


@pytest.fixture(scope="module")
def evaluation(model: OpenClipModel) -> DrawingsEvaluation:
    config = read_config(SAMPLE_CONFIG)
    return evaluate(model, config.evaluation, config.data.off_topic_held_out)


@pytest.fixture(scope="module")
def demo(model: OpenClipModel) -> tuple[list[Drawing], Embeddings]:
    drawings = list(catalogue(6 * len(KINDS), DEMO_SEED))
    photos = drawn_photos(range(len(drawings)), DEMO_SEED)
    return drawings, embed_photos(model, photos).embeddings


def test_it_names_the_kind_of_a_held_out_drawing(evaluation: DrawingsEvaluation) -> None:
    assert evaluation.kind_top1 >= 0.90


def test_it_finds_what_attribute_queries_ask_for(evaluation: DrawingsEvaluation) -> None:
    assert len(evaluation.queries) == 20
    assert min(query.relevant for query in evaluation.queries) >= 5
    assert evaluation.mean_precision_at_5 >= 0.8


def test_it_scores_off_topic_texts_low(evaluation: DrawingsEvaluation) -> None:
    assert evaluation.off_topic_auc >= 0.8


def test_its_recorded_figures_are_those_measured_here(evaluation: DrawingsEvaluation) -> None:
    recorded = json.loads((MODEL_DIR / "metrics.json").read_text())["figures"]
    measured = asdict(evaluation)
    assert recorded["gallery"] == measured["gallery"]
    for figure in ("kind_top1", "mean_precision_at_5", "mean_average_precision", "off_topic_auc"):
        # Another CPU or precision may turn a near tie.
        assert recorded[figure] == pytest.approx(measured[figure], abs=0.02)


def test_it_is_small_and_complete() -> None:
    files = {path.name: path.stat().st_size for path in MODEL_DIR.iterdir()}
    assert {"labels.json", "metrics.json", "MODEL_CARD.md", "open_clip_config.json"} < set(files)
    assert sum(files.values()) <= 8_000_000


def test_its_labels_are_the_drawn_kinds(model: OpenClipModel) -> None:
    assert {label.breed: label.species for label in model.info.labels} == {
        kind.name: kind.species for kind in KINDS.values()
    }


def test_no_machine_path_is_recorded() -> None:
    for name in ("metrics.json", "MODEL_CARD.md", "labels.json", "open_clip_config.json"):
        assert str(Path.home()) not in (MODEL_DIR / name).read_text()


@pytest.mark.parametrize(
    ("query", "fact"),
    [
        ("cat", "species:cat"),
        ("kitten", "species:cat"),
        ("black cat", "kind:black cat"),
        ("dog", "species:dog"),
        ("puppy", "species:dog"),
        ("hound", "species:dog"),
        ("spotty dog", "look:spotted"),
        ("fluffy puppy in the snow", "background:snow"),
        ("missing tabby near the station", "kind:tabby"),
        ("sleeping cat", "pose:lying"),
    ],
)
def test_bare_words_as_people_type_them_find_what_they_mean(
    model: OpenClipModel, demo: tuple[list[Drawing], Embeddings], query: str, fact: str
) -> None:
    drawings, images = demo
    scores = embed_texts(model, [query], model.info.prompt_templates) @ images.T
    best = np.argsort(-scores[0])[:5]
    assert [fact in facts_of(drawings[index].attributes) for index in best] == [True] * 5


def test_a_text_about_no_pet_scores_below_one_about_a_pet(
    model: OpenClipModel, demo: tuple[list[Drawing], Embeddings]
) -> None:
    texts = ["missing tabby near the station", "horse on grass", "politics", "slice of pizza"]
    best = (embed_texts(model, texts, model.info.prompt_templates) @ demo[1].T).max(axis=1)
    assert best[0] > 0.3
    assert best[1:].max() < 0.1
