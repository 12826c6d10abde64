"""A fine-tune on photos from end to end: its result, a kill and a resume, the cache, refusals."""

import csv
import fcntl
import json
import math
import os
import random
import signal
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import open_clip
import pytest
import torch
from PIL import Image
from typer.testing import CliRunner

from petsearch.adapters.clip.model import load_model
from petsearch.cli.main import app
from petsearch.domain.errors import ConfigurationError, Conflict, InvalidInput, StorageFull
from petsearch.sample.catalogue import catalogue
from petsearch.sample.kinds import KINDS
from tests.programs import run
from tests.training.photo_runs import CONFIGS, Cache, photo_config, run_finetune, with_cache
from tests.training.photo_sets import write_photo_set
from training.finetuning.config import FinetuningConfig, read_any_config
from training.finetuning.interpolation import Interpolation
from training.finetuning.result import Provenance, record_of
from training.finetuning.run import WORK
from training.finetuning.split import Split
from training.finetuning.trainer import Step
from training.finetuning.validation import ValidationFigures
from training.runs.checkpoints import read_checkpoint, write_checkpoint
from training.runs.config_file import validated
from training.runs.precision import PeakMemory

_ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def smoke(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Step]]:
    """An uninterrupted run."""
    out = tmp_path_factory.mktemp("finetuned")
    steps: list[Step] = []
    run_finetune(photo_config(), out, steps)
    return out, steps


@pytest.fixture
def drawn_set(tmp_path: Path) -> Path:
    """Drawings as a data set of two kinds, with a photo that does not decode and one unlabelled."""
    names = list(KINDS)
    drawings = [d for d in catalogue(200, seed=5) if d.kind in names[:2]][:14]
    photos: list[bytes | None] = [d.to_jpeg() for d in drawings]
    labels: list[int | str | None] = [names.index(d.kind) for d in drawings]
    photos += [b"no photo", photos[0]]
    labels += [0, None]
    return write_photo_set(tmp_path / "set", photos, labels, classes=names[:2])


def test_the_command_writes_a_folder_that_serves(drawn_set: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    config = str(CONFIGS / "smoke.toml")
    done = CliRunner().invoke(
        app, ["finetune", "--config", config, "--data", str(drawn_set), "--out", str(out)]
    )
    assert done.exit_code == 0, done.output
    assert "Left out: n14" in done.output
    assert "1 photos without a label" in done.output
    assert "an estimate, as there is none here" in done.output
    names = {path.name for path in out.iterdir()}
    assert names == {
        "MODEL_CARD.md", "config.toml", "curves.png", "labels.json", "log.jsonl", "metrics.csv",
        "metrics.json", "open_clip_config.json", "open_clip_model.safetensors",
    }  # fmt: skip
    model = load_model(f"dir:{out}", device="cpu")
    kinds = {kind.name: kind.species for kind in list(KINDS.values())[:2]}
    assert {label.breed: label.species for label in model.info.labels} == kinds
    assert model.info.label_templates == photo_config().templates
    Image.open(out / "curves.png").verify()
    record = json.loads((out / "metrics.json").read_text())
    assert record["photos"]["not_decoded"][0]["name"] == "n14"
    assert str(tmp_path) not in (out / "metrics.json").read_text()
    assert str(tmp_path) not in (out / "MODEL_CARD.md").read_text()


def test_a_model_keeps_the_configuration_that_it_was_trained_with(
    drawn_set: Path, tmp_path: Path
) -> None:
    out, other = tmp_path / "out", tmp_path / "other.toml"
    other.write_text((CONFIGS / "smoke.toml").read_text().replace("epochs = 2", "epochs = 1"))

    def finetune(config: Path, data: Path) -> int:
        words = ["finetune", "--config", config, "--data", data, "--out", out]
        return CliRunner().invoke(app, [*map(str, words)]).exit_code

    assert finetune(other, drawn_set) == 0
    assert finetune(CONFIGS / "smoke.toml", tmp_path / "nowhere") == 1
    assert (out / "config.toml").read_text() == other.read_text()
    assert finetune(out / "config.toml", drawn_set) == 0


def test_the_result_is_the_model_that_validation_measured(
    smoke: tuple[Path, list[Step]],
) -> None:
    out, _ = smoke
    record: dict[str, Any] = json.loads((out / "metrics.json").read_text())
    assert record["provenance"]["commit"] == "abc123"
    assert record["config"]["optimisation"]["seed"] == 0
    shares = {row["share"]: row["top1"] for row in record["interpolation"]["tried"]}
    assert record["figures"]["top1"] == shares[record["interpolation"]["chosen"]]
    assert record["figures"]["top1"] == max(shares.values())
    # What was frozen is as it was.
    tuned, _, _ = open_clip.create_model_and_transforms(f"local-dir:{out}")
    before, _, _ = open_clip.create_model_and_transforms(
        f"local-dir:{_ROOT / 'petsearch/sample/model'}"
    )
    changed = {
        name
        for name, weight in tuned.state_dict().items()
        if not torch.equal(weight, before.state_dict()[name])
    }
    assert not any(name.startswith("visual.layer3") for name in changed)
    assert any(name.startswith("visual.layer4") for name in changed)


def test_the_record_names_a_hub_s_data_set_in_full_and_of_a_folder_its_own_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "pets").mkdir()
    monkeypatch.chdir(tmp_path / "pets")
    figures = ValidationFigures(0, 0, 0, 0)
    split = Split(np.arange(1), np.arange(1))
    photos = SimpleNamespace(photos=SimpleNamespace(skipped=()), broken=())
    setup = SimpleNamespace(split=split, photos=photos)
    result: Any = SimpleNamespace(
        setup=setup,
        before=figures,
        after=figures,
        interpolation=Interpolation(1.0, ()),
        memory=PeakMemory(1, None, 1),
    )
    config = replace(photo_config(), base="dir:.")
    for data, named in {"timm/oxford-iiit-pet": "timm/oxford-iiit-pet", ".": "pets"}.items():
        run_of = replace(config, photos=replace(config.photos, data=data))
        record = record_of(result, run_of, Provenance("b", None, 0, 1.0, "cpu"))
        assert record["config"]["photos"]["data"] == named
        assert record["config"]["base"] == "dir:pets"


def test_the_log_has_every_step_and_epoch_once(smoke: tuple[Path, list[Step]]) -> None:
    out, steps = smoke
    lines = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
    logged = [line for line in lines if line["kind"] == "step"]
    assert [line["number"] for line in logged] == [step.number for step in steps]
    with (out / "metrics.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [float(row["epoch"]) for row in rows] == [0.0, 1.0]
    assert all(0 <= float(row["top1"]) <= 1 for row in rows)


def test_a_run_that_is_killed_twice_ends_with_the_very_same_weights(
    smoke: tuple[Path, list[Step]], tmp_path: Path
) -> None:
    uninterrupted, steps = smoke
    early, late = sorted(random.Random().sample(range(len(steps) - 1), 2))
    for last in (early, late):
        command = [sys.executable, "-m", "tests.training.photo_runs", str(tmp_path), str(last)]
        assert run(command, timeout_s=240).returncode == -signal.SIGKILL
    run_finetune(photo_config(), tmp_path, [])
    for name in ("open_clip_model.safetensors", "metrics.csv", "log.jsonl"):
        same = (tmp_path / name).read_bytes() == (uninterrupted / name).read_bytes()
        assert same, f"{name} differs after kills at steps {early} and {late}"
    assert not (tmp_path / WORK).exists()


def test_what_a_run_resumes_from_is_on_the_disk_before_it_takes_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: set[int] = set()
    sync = os.fsync

    def noted(descriptor: int) -> None:
        sync(descriptor)
        synced.add(os.fstat(descriptor).st_ino)

    monkeypatch.setattr(os, "fsync", noted)
    run_finetune(with_cache(photo_config(), "fp16"), tmp_path, [])
    assert (tmp_path / "open_clip_model.safetensors").stat().st_ino in synced
    synced.clear()
    steps = _StopsAt(4)
    with pytest.raises(KeyboardInterrupt):
        run_finetune(with_cache(photo_config(), "fp16"), tmp_path, steps)
    for name in ("checkpoint.pt", "photos.bin", "photos.npz", "prefix.npy"):
        assert (tmp_path / WORK / name).stat().st_ino in synced, name


class _StopsAt(list[Step]):
    """Ends the run as Ctrl-C does, at a step."""

    def __init__(self, last: int) -> None:
        super().__init__()
        self._last = last

    def append(self, step: Step) -> None:
        if step.number == self._last:
            raise KeyboardInterrupt


def test_the_cache_of_the_frozen_stages_changes_nothing(
    smoke: tuple[Path, list[Step]], tmp_path: Path
) -> None:
    _, plain = smoke
    tolerances: dict[Cache, float] = {"fp32": 1e-4, "fp16": 5e-3}
    for cache, tolerance in tolerances.items():
        cached: list[Step] = []
        run_finetune(with_cache(photo_config(), cache), tmp_path / cache, cached)
        losses = [step.loss for step in cached]
        assert losses == pytest.approx([step.loss for step in plain], rel=tolerance)


def test_gradients_added_up_over_batches_are_those_of_the_large_batch(tmp_path: Path) -> None:
    config = photo_config()
    # The other losses compare the photos of a batch with each other.
    config = replace(config, loss=replace(config.loss, kind="cross_entropy"))
    split = replace(config.optimisation, batch_size=4, accumulate=4, epochs=1)
    whole: list[Step] = []
    parts: list[Step] = []
    one_epoch = replace(config, optimisation=replace(config.optimisation, epochs=1))
    run_finetune(one_epoch, tmp_path / "whole", whole)
    run_finetune(replace(config, optimisation=split), tmp_path / "parts", parts)
    assert [s.loss for s in parts] == pytest.approx([s.loss for s in whole], rel=1e-3)


def test_the_contrastive_loss_and_off_topic_texts_train_too(tmp_path: Path) -> None:
    config = photo_config()
    loss = replace(
        config.loss,
        kind="contrastive",
        background_weight=1.0,
        background_texts=4,
        off_topic=("red sports car",),
    )
    steps: list[Step] = []
    run_finetune(replace(config, loss=loss), tmp_path, steps)
    assert all(math.isfinite(step.loss) for step in steps)
    assert np.mean([s.loss for s in steps[-3:]]) < np.mean([s.loss for s in steps[:3]])


def test_a_loss_that_is_no_number_stops_the_run_and_keeps_the_last_checkpoint(
    tmp_path: Path,
) -> None:
    config = photo_config()
    wild = replace(
        config.optimisation, learning_rate=1e30, projection_learning_rate=1e30, checkpoint_steps=1
    )
    with pytest.raises(ConfigurationError, match=r"not a number at step \d+.*kept"):
        run_finetune(replace(config, optimisation=wild), tmp_path, [])
    kept = torch.load(tmp_path / WORK / "checkpoint.pt", weights_only=True)
    assert kept["step"] >= 1
    assert all(math.isfinite(row["loss"]) for row in kept["steps"])


def test_an_unfinished_run_of_another_configuration_is_not_overwritten(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.training.photo_runs", str(tmp_path), "4"]
    assert run(command, timeout_s=240).returncode == -signal.SIGKILL
    other = replace(photo_config(), templates=("{}",))
    with pytest.raises(Conflict, match="another configuration"):
        run_finetune(other, tmp_path, [])
    assert (tmp_path / WORK / "checkpoint.pt").exists()


@pytest.mark.parametrize("place", [f"{WORK}/thesis.txt", WORK], ids=["a folder", "a file"])
def test_what_is_named_work_and_is_of_something_else_is_left_alone(
    place: str, tmp_path: Path
) -> None:
    theirs = tmp_path / place
    theirs.parent.mkdir(exist_ok=True)
    theirs.write_text("precious")
    with pytest.raises(Conflict, match="something else"):
        run_finetune(photo_config(), tmp_path, [])
    assert theirs.read_text() == "precious"


def test_a_second_process_does_not_train_into_the_same_folder(tmp_path: Path) -> None:
    (tmp_path / WORK).mkdir()
    with (tmp_path / WORK / "run.txt").open("w") as mark:
        fcntl.flock(mark, fcntl.LOCK_EX)
        with pytest.raises(Conflict, match="Another process"):
            run_finetune(photo_config(), tmp_path, [])


@pytest.fixture
def full_disk(tmp_path: Path) -> Iterator[Path]:
    """A folder on a file system of 1 MB."""
    folder = tmp_path / "full"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)]
    if subprocess.run(command, check=False, capture_output=True).returncode:
        pytest.skip("no small disk: mounting one needs root")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk_is_said_and_the_checkpoint_before_stays(full_disk: Path) -> None:
    from tests.training.photo_runs import checkpoint_of

    write_checkpoint(full_disk, checkpoint_of(torch.ones(1000)), "run")
    with pytest.raises(StorageFull):
        write_checkpoint(full_disk, checkpoint_of(torch.ones(1_000_000)), "run")
    kept = read_checkpoint(full_disk, "run")
    assert kept is not None
    assert len(kept.weights["weight"]) == 1000


def test_a_cache_that_does_not_fit_is_said_before_anything_is_computed(full_disk: Path) -> None:
    with pytest.raises(StorageFull):
        run_finetune(with_cache(photo_config(), "fp32"), full_disk, [])


def test_photos_that_cannot_be_trained_on_are_refused(tmp_path: Path) -> None:
    photos = [d.to_jpeg() for d in catalogue(4, seed=5)]
    config = photo_config()
    nameless = replace(config.photos, data=str(tmp_path / "alone"), label_column="race")
    alone = write_photo_set(tmp_path / "alone", photos, [0, 0, 0, 1])
    with pytest.raises(InvalidInput, match="it has 1"):
        run_finetune(
            replace(config, photos=replace(config.photos, data=str(alone))), tmp_path / "out", []
        )
    with pytest.raises(InvalidInput, match=r"no column 'race'.*label"):
        run_finetune(replace(config, photos=nameless), tmp_path / "out", [])


@pytest.mark.parametrize("side", [1, 64])
def test_views_of_a_size_that_the_tower_does_not_take_are_refused(
    side: int, tmp_path: Path
) -> None:
    config = photo_config()
    views = replace(config.augmentation, view_size=side)
    with pytest.raises(ConfigurationError, match=rf"view_size is {side}: "):
        run_finetune(replace(config, augmentation=views), tmp_path, [])


def test_a_drawings_configuration_takes_no_base(tmp_path: Path) -> None:
    config = str(CONFIGS / "sample.toml")
    done = CliRunner().invoke(
        app, ["finetune", "--config", config, "--base", "sample", "--out", str(tmp_path)]
    )
    assert done.exit_code == 1
    assert "takes no --base" in done.stderr


@pytest.mark.parametrize(
    ("table", "key", "value", "message"),
    [
        ("photos", "validation_share", 1.5, r"photos\.validation_share is 1\.5: .* equal to 1\."),
        ("optimisation", "epochs", 0, r"optimisation\.epochs is 0: .* equal to 1\."),
        ("augmentation", "views", 0, "augmentation: a cache needs stored views"),
        ("loss", "background_weight", 1.0, "loss: background_weight needs texts"),
        ("loss", "species_weight", -0.1, r"loss\.species_weight is -0\.1: "),
        ("augmentation", "brightness", 1.5, r"augmentation\.brightness is 1\.5: "),
        ("optimisation", "clip_norm", 0.0, r"optimisation\.clip_norm is 0\.0: .* than 0\."),
        ("optimisation", "learning_rate", -1e-4, r"optimisation\.learning_rate is -0\.0001: "),
        ("optimisation", "weight_decay", math.inf, r"optimisation\.weight_decay is inf: "),
        ("optimisation", "seed", -1, r"optimisation\.seed is -1: "),
        ("", "templates", ["a pet"], r"templates\.0 is 'a pet'"),
        ("", "interpolation", [], "interpolation is .* at least 1 item"),
    ],
)
def test_a_value_outside_its_range_is_rejected(
    table: str, key: str, value: object, message: str
) -> None:
    tables = tomllib.loads((CONFIGS / "pets-4gb.toml").read_text())
    (tables[table] if table else tables)[key] = value
    with pytest.raises(ConfigurationError, match=rf"my\.toml: {message}"):
        validated(FinetuningConfig, tables, Path("my.toml"))


def test_a_background_loss_needs_a_trained_text_tower() -> None:
    tables = tomllib.loads((CONFIGS / "pets-4gb.toml").read_text())
    tables["loss"] |= {"background_weight": 1.0, "background_texts": 8}
    message = r"loss\.background_weight needs policy\.train_text"
    with pytest.raises(ConfigurationError, match=message):
        validated(FinetuningConfig, tables, Path("my.toml"))


def test_a_configuration_that_is_no_text_is_named(tmp_path: Path) -> None:
    path = tmp_path / "my.toml"
    path.write_bytes(b'base = "caf\xe9"')
    with pytest.raises(ConfigurationError, match=r"my\.toml cannot be read as TOML"):
        read_any_config(path)


def test_a_misspelt_table_of_photos_is_named(tmp_path: Path) -> None:
    path = tmp_path / "my.toml"
    path.write_text((CONFIGS / "smoke.toml").read_text().replace("[photos]", "[photo]"))
    with pytest.raises(ConfigurationError, match=r"photos is missing.* photo is not a known key"):
        read_any_config(path)


def test_a_patience_of_no_epoch_is_refused() -> None:
    tables = tomllib.loads((CONFIGS / "smoke.toml").read_text())
    tables["optimisation"]["patience"] = 0
    with pytest.raises(ConfigurationError, match=r"optimisation\.patience"):
        validated(FinetuningConfig, tables, Path("my.toml"))


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("*.toml")), ids=lambda path: path.name)
def test_every_configuration_reads(path: Path) -> None:
    assert read_any_config(path)
