"""`petsearch evaluate` as people use it: a process, its files, its refusals, its page."""

import json
import subprocess
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from petsearch.sample.catalogue import HELD_OUT_SEED, catalogue
from petsearch.sample.kinds import KINDS
from tests import pictures
from tests.programs import petsearch
from tests.training.photo_sets import write_photo_set


def evaluate(cache: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    env = {"HF_DATASETS_CACHE": str(cache)}
    return petsearch("evaluate", "--model", "sample", *arguments, env=env)


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory, cache: Path) -> Path:
    """The report on three drawings of each kind and a photo that is none."""
    drawn = list(catalogue(3 * len(KINDS), HELD_OUT_SEED))
    photos = [*(drawing.to_jpeg() for drawing in drawn), pictures.HTML]
    labels = [*(drawing.kind for drawing in drawn), drawn[0].kind]
    folder = tmp_path_factory.mktemp("pets")
    write_photo_set(folder, photos, labels, split="test", label_column="breed")
    out = tmp_path_factory.mktemp("out") / "report"
    done = evaluate(
        cache, "--data", str(folder), "--label-column", "breed", "--out", str(out), "--json"
    )
    assert done.returncode == 0, done.stderr
    printed = json.loads(done.stdout)
    assert printed == json.loads((out / "evaluation.json").read_text())
    return out


def test_it_writes_the_report_as_json_markdown_and_a_page(written: Path) -> None:
    evaluation = json.loads((written / "evaluation.json").read_text())
    assert evaluation["data"]["photos"] == 3 * len(KINDS)
    assert [photo["name"] for photo in evaluation["data"]["skipped"]] == [f"n{3 * len(KINDS)}"]
    table = (written / "evaluation.md").read_text()
    assert "| text to image |" in table
    assert "1 photos were skipped" in table


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_its_page_asks_for_nothing_and_fits_a_phone(
    browser: Browser, written: Path, scheme: str
) -> None:
    page = browser.new_page(viewport={"width": 390, "height": 800}, color_scheme=scheme)  # type: ignore[arg-type]
    asked: list[str] = []
    complaints: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda message: complaints.append(message.text))
    page.goto((written / "report.html").as_uri())
    assert page.locator("h2").count() >= 8
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    assert [url for url in asked if not url.startswith("data:")] == [page.url]
    assert not complaints
    page.close()


def test_what_cannot_be_measured_is_one_line_that_says_why(cache: Path) -> None:
    """Each reason has a test in tests/training/test_evaluate_refusals.py."""
    done = evaluate(cache, "--data", "./nowhere")
    assert done.returncode == 1
    assert "no folder ./nowhere" in " ".join(done.stderr.split())
    assert "Traceback" not in done.stderr
