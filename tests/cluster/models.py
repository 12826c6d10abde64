"""Models that are published to a cluster, and let serve."""

import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from petsearch.adapters.clip import resolve_model
from petsearch.client import Client
from petsearch.domain.errors import PetsearchError
from petsearch.models import Registry
from petsearch.ports import ObjectStore
from tests.other_model import write_other_model

_PATIENCE_S = 180.0


def publish(store: ObjectStore, folder: Path, *, seed: int) -> str:
    """Publish a model, which no other seed has; returns its id."""
    model_id = resolve_model(f"dir:{write_other_model(folder, seed=seed)}").model_id()
    (folder / "metrics.json").write_text("{}")
    files = {path.name: path for path in folder.iterdir()}
    Registry(store).publish(model_id, files, datetime.now(UTC))
    return model_id


def replace(client: Client, model_id: str) -> None:
    """Let a model serve whose reindex has ended, and drop the earlier one."""
    (before,) = [model["model_id"] for model in client.models() if model["current"]]
    eventually(lambda: client.promote(model_id, accept_worse=True))
    eventually(lambda: client.drop_collection(before))


def eventually(call: Callable[[], object]) -> None:
    """Make a call until it succeeds: some things settle a while after a part is back."""
    pausing, deadline = threading.Event(), time.monotonic() + _PATIENCE_S
    while True:
        try:
            call()
        except PetsearchError:
            if time.monotonic() > deadline:
                raise
            pausing.wait(1.0)
        else:
            return
