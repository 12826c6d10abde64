"""Published models: whole or not at all, the same twice is nothing, and what came is checked."""

import json
import shutil
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from petsearch.adapters.clip import resolve_model
from petsearch.adapters.objects import FilesystemStore
from petsearch.cli.main import app
from petsearch.cli.publish import publish_folder
from petsearch.domain import object_keys
from petsearch.domain.errors import ConfigurationError, InvalidInput, NotFound, Unavailable
from petsearch.models import Registry
from petsearch.models.folder import MOST_JSON_BYTES
from petsearch.sample.catalogue import MODEL_DIR

NOW = datetime(2026, 1, 1, tzinfo=UTC)
ID = "pets-0123456789ab"


class Elsewhere(FilesystemStore):
    """A store whose files are not on this machine, and that may fail at its n-th object."""

    fails_at = -1

    def local_path(self, key: str) -> None:
        """See `ObjectStore.local_path`."""

    def put_stream(self, key: str, *arguments: Any) -> None:
        """See `ObjectStore.put_stream`."""
        self.fails_at -= 1
        if self.fails_at == 0:
            raise Unavailable("cut off")
        super().put_stream(key, *arguments)


@pytest.fixture
def store(tmp_path: Path) -> Elsewhere:
    return Elsewhere(tmp_path / "objects")


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Path]:
    made = {name: tmp_path / name for name in ("weights", "config", "metrics.json")}
    for name, path in made.items():
        path.write_text(name * 1000)
    return made


def test_what_is_published_comes_back(
    store: Elsewhere, files: dict[str, Path], tmp_path: Path
) -> None:
    registry = Registry(store)
    assert registry.publish(ID, files, NOW).is_new
    assert registry.spec_of(ID) == f"s3:{ID}"
    folder = registry.fetch(ID, tmp_path / "cache")
    assert {path.name: path.read_text() for path in folder.iterdir()} == {
        name: path.read_text() for name, path in files.items()
    }
    assert [manifest.model_id for manifest in registry.all()] == [ID]


def test_twice_is_once(store: Elsewhere, files: dict[str, Path]) -> None:
    registry = Registry(store)
    first = registry.publish(ID, files, NOW)
    again = registry.publish(ID, files, datetime(2027, 1, 1, tzinfo=UTC))
    assert not again.is_new
    assert again.manifest == first.manifest


def test_cut_off_it_is_not_there_and_the_next_try_finishes_it(
    store: Elsewhere, files: dict[str, Path], tmp_path: Path
) -> None:
    registry = Registry(store)
    store.fails_at = len(files)
    with pytest.raises(Unavailable):
        registry.publish(ID, files, NOW)
    assert registry.find(ID) is None
    assert list(registry.all()) == []
    with pytest.raises(NotFound, match="petsearch publish"):
        registry.spec_of(ID)
    with pytest.raises(ConfigurationError, match="not published"):
        registry.fetch(ID, tmp_path / "cache")
    assert registry.publish(ID, files, NOW).is_new
    assert registry.find(ID) is not None


def test_what_is_damaged_in_the_store_or_on_this_disk_is_not_used(
    store: Elsewhere, files: dict[str, Path], tmp_path: Path
) -> None:
    registry = Registry(store)
    registry.publish(ID, files, NOW)
    folder = registry.fetch(ID, tmp_path / "cache")
    (folder / "weights").write_text("half")
    assert (registry.fetch(ID, tmp_path / "cache") / "weights").read_text() != "half"
    store.put(object_keys.model_file(ID, "weights"), b"half")
    with pytest.raises(ConfigurationError, match="damaged"):
        registry.fetch(ID, tmp_path / "elsewhere")


def lose(store: Elsewhere) -> None:
    store.delete(object_keys.model_file(ID, "weights"))


def change(store: Elsewhere) -> None:
    """Some bytes, of as many."""
    key = object_keys.model_file(ID, "weights")
    store.put(key, b"x" * store.stat(key).size_bytes)


@pytest.mark.parametrize("damage", [lose, change])
def test_what_is_damaged_in_the_store_is_mended_by_publishing_it_again(
    store: Elsewhere, files: dict[str, Path], tmp_path: Path, damage: Callable[[Elsewhere], None]
) -> None:
    registry = Registry(store)
    registry.publish(ID, files, NOW)
    damage(store)
    with pytest.raises(ConfigurationError, match=r"damaged.*publish it again"):
        registry.fetch(ID, tmp_path / "cache")
    assert registry.publish(ID, files, NOW).is_new
    assert (registry.fetch(ID, tmp_path / "cache") / "weights").is_file()
    assert not registry.publish(ID, files, NOW).is_new


def test_a_replacement_that_was_cut_off_is_undone_or_finished_by_another(
    store: Elsewhere, files: dict[str, Path], tmp_path: Path
) -> None:
    registry = Registry(store)
    registry.publish(ID, files, NOW)
    changed = {name: tmp_path / f"new {name}" for name in ("config", "metrics.json")}
    for name, path in changed.items():
        path.write_text(f"new {name}")
    for number, replacing in enumerate((files, files | changed)):
        store.fails_at = len(changed)
        with pytest.raises(Unavailable):
            registry.publish(ID, files | changed, NOW)
        store.fails_at = -1
        registry.publish(ID, replacing, NOW)
        folder = registry.fetch(ID, tmp_path / f"cache {number}")
        for name, path in replacing.items():
            assert (folder / name).read_text() == path.read_text()


def test_on_the_stores_own_disk_nothing_is_copied(files: dict[str, Path], tmp_path: Path) -> None:
    registry = Registry(FilesystemStore(tmp_path / "objects"))
    registry.publish(ID, files, NOW)
    assert registry.fetch(ID, tmp_path / "cache") == tmp_path / "objects" / "models" / ID
    assert not (tmp_path / "cache").exists()


@pytest.mark.parametrize(
    "name", ["../x", "a/b", "", "a\0b", "My pets-0", "möpse-0", "-x", "x\n", "x" * 201]
)
def test_an_id_that_is_none_is_refused(store: Elsewhere, files: dict[str, Path], name: str) -> None:
    with pytest.raises(InvalidInput):
        Registry(store).publish(name, files, NOW)
    assert Registry(store).find(name) is None


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    copied: Path = shutil.copytree(MODEL_DIR, tmp_path / "mine")
    return copied


def test_a_folder_is_published_with_a_card_and_loads_from_there(
    folder: Path, tmp_path: Path
) -> None:
    data_dir = tmp_path / "data"
    published = publish_folder(folder, name="pets", data_dir=data_dir)
    model_id = published.manifest.model_id
    assert model_id.startswith("pets-")
    assert not publish_folder(folder, name="pets", data_dir=data_dir).is_new
    there = data_dir / "objects" / "models" / model_id
    card = (there / "MODEL_CARD.md").read_text()
    assert model_id in card
    assert "kind_top1 | 0.9958" in card
    registry = Registry(FilesystemStore(data_dir / "objects"))
    assert registry.figures(published.manifest)["kind_top1"] == pytest.approx(0.9958, abs=1e-4)
    assert "are calibrated" in card
    assert resolve_model(f"dir:{there}").model_id().endswith(model_id.rpartition("-")[2])


def test_a_folder_whose_name_the_api_would_not_take_needs_another(tmp_path: Path) -> None:
    folder = shutil.copytree(MODEL_DIR, tmp_path / "My Möpse")
    data_dir = tmp_path / "data"
    with pytest.raises(InvalidInput, match="--name"):
        publish_folder(folder, data_dir=data_dir)
    published = publish_folder(folder, name="mine", data_dir=data_dir)
    assert published.manifest.model_id.startswith("mine-")


def test_mending_a_model_keeps_the_calibration_that_was_fitted_when_it_was_published(
    folder: Path, tmp_path: Path
) -> None:
    data_dir = tmp_path / "data"
    model_id = publish_folder(folder, data_dir=data_dir).manifest.model_id
    for name in ("calibration.json", "metrics.json"):
        (folder / name).unlink()
    there = data_dir / "objects" / "models" / model_id
    registry = Registry(FilesystemStore(data_dir / "objects"))
    for name in ("labels.json", "MODEL_CARD.md"):
        (there / name).unlink()
        mended = publish_folder(folder, data_dir=data_dir)
        assert mended.is_new
        assert "calibration.json" in mended.manifest.files
        assert registry.damaged(mended.manifest) == []
    (there / "calibration.json").unlink()
    with pytest.raises(InvalidInput, match="--dataset"):
        publish_folder(folder, data_dir=data_dir)


def test_a_lost_calibration_is_not_left_out_without_a_word(folder: Path, tmp_path: Path) -> None:
    data_dir = tmp_path / "data"
    model_id = publish_folder(folder, data_dir=data_dir).manifest.model_id
    for lost in (folder, data_dir / "objects" / "models" / model_id):
        (lost / "calibration.json").unlink()
    with pytest.raises(InvalidInput, match="--dataset, or with --unmeasured"):
        publish_folder(folder, data_dir=data_dir)
    mended = publish_folder(folder, data_dir=data_dir, unmeasured=True)
    assert "calibration.json" not in mended.manifest.files


def test_an_unmeasured_model_is_refused_until_it_is_asked_for(folder: Path, tmp_path: Path) -> None:
    (folder / "metrics.json").unlink()
    calibration = json.loads((folder / "calibration.json").read_text())
    calibration["weights"] = "000000000000"  # of others: the gate does not count it either
    (folder / "calibration.json").write_text(json.dumps(calibration))
    words = ["publish", str(folder), "--data-dir", str(tmp_path / "data")]
    for name in ("a calibration of others", "none"):
        if name == "none":
            (folder / "calibration.json").unlink()
        done = CliRunner().invoke(app, words)
        assert done.exit_code == 1
        assert "`petsearch promote` will refuse this model" in done.stderr
        assert "--dataset" in done.stderr
        assert "--unmeasured" in done.stderr
    assert list(Registry(FilesystemStore(tmp_path / "data" / "objects")).all()) == []
    for said in ("is published. Next", "is published already"):
        done = CliRunner().invoke(app, [*words, "--unmeasured"])
        assert done.exit_code == 0
        assert said in done.stderr
    assert CliRunner().invoke(app, words).exit_code == 1


def test_large_figures_of_an_earlier_version_are_not_read(
    store: Elsewhere, files: dict[str, Path]
) -> None:
    for note, read in (("", {"map": 0.5}), ("x" * MOST_JSON_BYTES, {})):
        files["metrics.json"].write_text(json.dumps({"map": 0.5, "note": note}))
        manifest = Registry(store).publish(ID, files, NOW).manifest
        assert Registry(store).figures(manifest) == read


def truncate(folder: Path) -> None:
    weights = folder / "open_clip_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:100_000])


def break_config(folder: Path) -> None:
    (folder / "open_clip_config.json").write_text("{")


def break_labels(folder: Path) -> None:
    (folder / "labels.json").write_text('{"labels": 3}')


def break_metrics(folder: Path) -> None:
    (folder / "metrics.json").write_text("[1]")


def enlarge_metrics(folder: Path) -> None:
    (folder / "metrics.json").write_text(json.dumps({"map": 0.5, "note": "x" * MOST_JSON_BYTES}))


def link_to_a_secret(folder: Path) -> None:
    (folder / "secret").write_text("password")
    (folder / "metrics.json").unlink()
    (folder / "metrics.json").symlink_to("secret")


def take_weights(folder: Path) -> None:
    (folder / "open_clip_model.safetensors").unlink()


def other_size(folder: Path) -> None:
    config = json.loads((folder / "open_clip_config.json").read_text())
    config["model_cfg"]["embed_dim"] = 64
    (folder / "open_clip_config.json").write_text(json.dumps(config))


@pytest.mark.parametrize(
    "damage",
    [
        *(truncate, break_config, break_labels, break_metrics, take_weights, other_size),
        *(enlarge_metrics, link_to_a_secret),
    ],
)
def test_a_broken_folder_is_refused_and_nothing_is_published(
    folder: Path, tmp_path: Path, damage: Any
) -> None:
    damage(folder)
    with pytest.raises((ConfigurationError, InvalidInput)):
        publish_folder(folder, data_dir=tmp_path / "data")
    assert list(Registry(FilesystemStore(tmp_path / "data" / "objects")).all()) == []
